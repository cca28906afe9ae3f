"""Measurements: each script is a command of its own with `--quick` and `--json FILE`."""

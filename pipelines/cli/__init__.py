"""The `rewarddance` command line; every import of a heavy module stands inside the command that needs it."""

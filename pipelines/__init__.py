"""Strings the stages together: Prefect flows, the command line, summary and report. Holds no logic of a stage."""

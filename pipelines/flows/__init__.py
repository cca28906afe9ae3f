"""Prefect flows: thin wrappers that start a stage's job, pass its progress on and keep its receipt."""

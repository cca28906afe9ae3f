"""Prompt -> candidates: prompt sets, generator back ends, ingest of files, contact sheets."""

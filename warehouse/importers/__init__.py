"""Importers: preference data that other people collected -> prompts, candidates, pairs, annotators and votes.

Offline and from files only. `rows` reads files, one module a family of formats says what a row means, `store` writes.
"""

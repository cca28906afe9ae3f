"""Erasure: taking a forgotten record's rows and bytes away from tables, snapshots, shards and the media store."""

from __future__ import annotations

from warehouse.erasure.erase import erase

__all__ = ["erase"]

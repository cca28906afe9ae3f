"""Shards: samples as plain ustar files beside an index; writing, reading, order."""

from __future__ import annotations

from warehouse.shards.reader import Sample, ShardDataset, open_split

__all__ = ["Sample", "ShardDataset", "open_split"]

"""Ground floor of the house: records, catalog, media, dataset versions, shards, lineage, importers, errors."""

from __future__ import annotations

from warehouse.catalog import Warehouse, open_warehouse

__all__ = ["Warehouse", "open_warehouse"]

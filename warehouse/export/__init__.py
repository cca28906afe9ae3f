"""Exports: a dataset version as plain files for others, with raters under names of this export only."""

from __future__ import annotations

from warehouse.export.run import FORMATS, export

__all__ = ["FORMATS", "export"]

"""`rewarddance doctor`: what this machine has, what is missing, and what to type about it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
from typing import Any

NEEDED = ("torch", "transformers", "duckdb", "duckdb-extension-ducklake", "prefect", "pillow", "av", "pyarrow", "typer")
OPTIONAL = {"diffusers": "pip install diffusers", "label-studio-sdk": "pip install label-studio-sdk",
            "accelerate": "pip install accelerate"}


def _finding(name: str, ok: bool, found: str, hint: str = "", *, needed: bool = True) -> dict[str, Any]:
    return {"name": name, "ok": ok, "found": found, "hint": "" if ok else hint, "needed": needed}


def _package(name: str, hint: str, *, needed: bool) -> dict[str, Any]:
    try:
        return _finding(name, True, importlib.metadata.version(name), needed=needed)
    except importlib.metadata.PackageNotFoundError:
        return _finding(name, False, "not installed", hint, needed=needed)


def examine() -> list[dict[str, Any]]:
    """All findings: {name, ok, found, hint, needed}."""
    python_ok = (3, 11) <= sys.version_info[:2] < (3, 14)
    free_gib = shutil.disk_usage(".").free / 2**30
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome") or ""
    return [
        _finding("python", python_ok, platform.python_version(), "install Python 3.11, 3.12 or 3.13"),
        _finding("cores", True, str(os.cpu_count())),
        _finding("disk", free_gib > 2, f"{free_gib:.0f} GiB free", "free at least 2 GiB"),
        *(_package(name, "make setup", needed=True) for name in NEEDED),
        *(_package(name, hint, needed=False) for name, hint in OPTIONAL.items()),
        _finding("chromium", bool(chromium), chromium or "not found", "apt-get install chromium", needed=False),
        _finding("gpu", shutil.which("nvidia-smi") is not None, shutil.which("nvidia-smi") or "none (not needed)",
                 "the demo runs on two CPU cores; a GPU is for real-size models", needed=False),
    ]


def print_findings(findings: list[dict[str, Any]]) -> None:
    """A table for people."""
    for item in findings:
        mark = "ok  " if item["ok"] else "MISS" if item["needed"] else "-   "
        print(f"{mark} {item['name']:<28} {item['found']:<24} {item['hint']}")

"""`rewarddance doctor`: what this machine has, what is missing, and what to type about it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
from typing import Any

from pipelines.config import SOURCE_ROOT
from pipelines.services import SERVICES, Service

NEEDED = ("torch", "transformers", "duckdb", "duckdb-extension-ducklake", "prefect", "pillow", "av", "pyarrow", "typer")
# Package: what it is for. Installed by pip on demand.
OPTIONAL = {"diffusers": "real image and video generators", "accelerate": "training on several GPUs", "peft": "LoRA"}
# Program: what it is for.
PROGRAMS = {"nvidia-smi": "GPUs, for models of real size; the demo needs none"}


def _finding(name: str, ok: bool, found: str, hint: str = "", *, needed: bool = True) -> dict[str, Any]:
    return {"name": name, "ok": ok, "found": found, "hint": "" if ok else hint, "needed": needed}


def _package(name: str, hint: str, *, needed: bool) -> dict[str, Any]:
    try:
        return _finding(name, True, importlib.metadata.version(name), needed=needed)
    except importlib.metadata.PackageNotFoundError:
        return _finding(name, False, "not installed", hint, needed=needed)


def _program(name: str, use: str) -> dict[str, Any]:
    place = shutil.which(name) or ""
    return _finding(name, bool(place), place or "not found", use, needed=False)


def _service(service: Service) -> dict[str, Any]:
    place = service.found()
    hint = f"{service.use}: rewarddance doctor --install {service.name}"
    return _finding(service.name, bool(place), place or "not found", hint, needed=False)


def _machine() -> list[dict[str, Any]]:
    python_ok = (3, 11) <= sys.version_info[:2] < (3, 14)
    memory_gib = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    free_gib = shutil.disk_usage(".").free / 2**30
    return [
        _finding("python", python_ok, platform.python_version(), "install Python 3.11, 3.12 or 3.13"),
        _finding("cores", True, str(os.cpu_count())),
        _finding("memory", memory_gib > 3.5, f"{memory_gib:.0f} GiB", "the demo needs 4 GiB"),
        _finding("disk", free_gib > 2, f"{free_gib:.0f} GiB free here", "free at least 2 GiB"),
    ]


def _weights() -> dict[str, Any]:
    found = sorted(path.parent.name for path in (SOURCE_ROOT / "simulation" / "weights").glob("*/model.safetensors"))
    return _finding("weights of the simulation", len(found) >= 3, ", ".join(found) or "none",
                    "they are part of the repository: git checkout simulation/weights")


def examine() -> list[dict[str, Any]]:
    """All findings: {name, ok, found, hint, needed}."""
    return [
        *_machine(),
        *(_package(name, "make setup", needed=True) for name in NEEDED),
        _weights(),
        *(_package(name, f"{use}: pip install {name}", needed=False) for name, use in OPTIONAL.items()),
        *(_service(service) for service in SERVICES),
        *(_program(name, use) for name, use in PROGRAMS.items()),
    ]


def print_findings(findings: list[dict[str, Any]]) -> None:
    """A table for people, what is needed first, and what to do next."""
    for needed, title in ((True, "needed"), (False, "optional")):
        print(title)
        for item in (item for item in findings if item["needed"] is needed):
            mark = "ok" if item["ok"] else "MISSING" if needed else "-"
            print(f"  {mark:<8} {item['name']:<26} {item['found']:<24} {item['hint']}".rstrip())
    missing = [item["name"] for item in findings if item["needed"] and not item["ok"]]
    print(f"missing: {', '.join(missing)}" if missing else "all that the demo needs is here: rewarddance demo --quick")

"""`rewarddance doctor --install`: what tests and annotation need besides Python packages.

Label Studio in its own virtual environment with a migrated empty database, by pip; Chromium and PostgreSQL by apt-get,
where this is Debian and we are root. Each can be left out by name, and what cannot be installed is said with what to
type instead: it stops nobody's setup, except where CI=true, because there its tests would fail.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from annotation.label_studio import environment
from warehouse.errors import BackendError, ConfigError, RewardDanceError


@dataclass(frozen=True)
class Service:
    """A program outside our environment: is it here, and how it comes."""

    name: str
    use: str
    by_hand: str
    found: Callable[[], str]
    install: Callable[[], None]


def _chromium() -> str:
    return shutil.which("chromium") or shutil.which("chromium-browser") or ""


def _postgresql() -> str:
    return str(next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), ""))


def _label_studio() -> str:
    return str(environment.folder()) if environment.prepared() else ""


def _prepare_label_studio() -> None:
    environment.ensure(lambda question: True)
    environment.empty_database()


def _apt(package: str) -> Callable[[], None]:
    def install() -> None:
        if os.geteuid() or not shutil.which("apt-get"):
            raise ConfigError("only root on Debian or Ubuntu can do this here")
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["update"], ["install", "-y", "--no-install-recommends", package]):
            done = subprocess.run(["apt-get", "-q", *command], env=quiet, capture_output=True, text=True)
        if done.returncode:
            raise BackendError(f"apt-get install {package}: {done.stderr.strip()[-300:]}")

    return install


SERVICES = (
    Service("label-studio", f"Label Studio {environment.VERSION}, where people label (1 GB)",
            "rewarddance doctor --install label-studio", _label_studio, _prepare_label_studio),
    Service("chromium", "looking at pages in tests", "apt-get install chromium", _chromium, _apt("chromium")),
    Service("postgresql", "a shared warehouse, and Label Studio for more than ten people",
            "apt-get install postgresql", _postgresql, _apt("postgresql")),
)
NAMES = tuple(service.name for service in SERVICES)


def chosen(names: Sequence[str], without: Sequence[str]) -> list[Service]:
    """Services by name, all of them for no name; ConfigError for a name that is none."""
    unknown = sorted({*names, *without} - set(NAMES))
    if unknown:
        raise ConfigError(f"no service {unknown[0]!r}", hint=f"one of {', '.join(NAMES)}")
    return [service for service in SERVICES if service.name in (names or NAMES) and service.name not in without]


def install(services: Sequence[Service]) -> dict[str, str]:
    """Install what is absent, one after the other; by name "" for what is there now, else why it is not."""
    missing: dict[str, str] = {}
    for service in services:
        missing[service.name] = ""
        if service.found():
            continue
        print(f"installing {service.name}: {service.use} ...", file=sys.stderr, flush=True)
        try:
            service.install()
        except RewardDanceError as error:
            missing[service.name] = str(error)
            print(f"  without it: {error.message}. By hand: {service.by_hand}", file=sys.stderr, flush=True)
    return missing

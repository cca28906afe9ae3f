"""Label Studio's own virtual environment, pinned: it brings Django and its own NumPy, a gigabyte that must not mix with
ours. Beside it lies an already migrated empty database, since the first start on a new one takes a minute or two.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from warehouse.errors import BackendError, ConfigError

VERSION = "1.23.2"
_REQUIREMENTS = (f"label-studio=={VERSION}", "psycopg2-binary")
_DATABASE = "label_studio.sqlite3"
_INSTALL_S = 1800.0
_SOURCE_ROOT = Path(__file__).resolve().parents[2]


def folder() -> Path:
    """$REWARDDANCE_CACHE, else .cache of the source checkout, else ~/.cache/rewarddance; one folder a version."""
    given = os.environ.get("REWARDDANCE_CACHE")
    checkout = (_SOURCE_ROOT / "pyproject.toml").exists()
    base = Path(given) if given else _SOURCE_ROOT / ".cache" if checkout else Path.home() / ".cache" / "rewarddance"
    # A virtual environment remembers where it was made, so a link on the way must not be part of that.
    return base.resolve() / f"label-studio-{VERSION}"


def installed() -> bool:
    """True where the environment is complete."""
    return (folder() / "installed").exists()


def prepared() -> bool:
    """True where the empty database is there too, so that a server starts within seconds."""
    return installed() and (folder() / "empty" / _DATABASE).exists()


def python() -> Path:
    """The environment's interpreter."""
    return folder() / "venv" / "bin" / "python"


def ensure(agree: Callable[[str], bool]) -> Path:
    """Find or make the environment and its empty database; `agree` is asked before the gigabyte.

    Returns the interpreter. Raises ConfigError where the answer is no, BackendError where the installation fails; a
    half-made environment is made anew by the next call.
    """
    if not installed():
        if not agree(f"Label Studio {VERSION} needs about 1 GB in {folder()}. Install it?"):
            raise ConfigError("Label Studio is not installed", hint="rewarddance annotate up --yes installs it")
        with _alone():
            if not installed():
                _install()
    return python()


def _alone() -> FileLock:
    """Two installations at once would destroy each other."""
    folder().mkdir(parents=True, exist_ok=True)
    return FileLock(folder() / "install.lock", timeout=_INSTALL_S)


def _install() -> None:
    place = folder() / "venv"
    shutil.rmtree(place, ignore_errors=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    venv.create(place, with_pip=True)
    pip = [str(python()), "-m", "pip", "install", "-q", "--disable-pip-version-check", *_REQUIREMENTS]
    done = subprocess.run(pip, stdout=sys.stderr, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise BackendError(
            f"pip could not install Label Studio: {done.stderr.strip()[-500:]}",
            where=str(place),
            hint="mend the network or the package index and run the same command again",
        )
    (folder() / "installed").write_text(VERSION)


def empty_database() -> Path:
    """Folder with the migrated SQLite file without users, made on first use by Label Studio's own migrations."""
    target = folder() / "empty"
    if not (target / _DATABASE).exists():
        with _alone():
            if not (target / _DATABASE).exists():
                _migrate(target)
    return target


def _migrate(target: Path) -> None:
    making = folder() / "empty.part"
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    code = "import label_studio.server as s; s._setup_env(); s._apply_database_migrations()"
    done = subprocess.run([str(python()), "-c", code], env=clean_environment(making), capture_output=True, text=True)
    if done.returncode or not (making / _DATABASE).exists():
        raise BackendError(f"Label Studio could not prepare its database: {done.stderr.strip()[-500:]}",
                           where=str(making), hint="delete this folder's parent and install again")
    os.replace(making, target)


def clean_environment(data: Path) -> dict[str, str]:
    """The variables every start needs: own data folder, nothing sent anywhere, no open sign-up.

    Both Sentry addresses are set empty, because they are on by default.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LABEL_STUDIO", "POSTGRE"))}
    return kept | {
        "LABEL_STUDIO_BASE_DATA_DIR": str(data),
        "LABEL_STUDIO_COLLECT_ANALYTICS": "false",
        "COLLECT_ANALYTICS": "false",
        "SENTRY_DSN": "",
        "FRONTEND_SENTRY_DSN": "",
        "LATEST_VERSION_CHECK": "false",
        "LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK": "true",
        "PYTHONUNBUFFERED": "1",
    }

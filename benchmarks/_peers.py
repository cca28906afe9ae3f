"""The Python of .cache/bench-venv: our own packages, and over them the peers of requirements-bench.txt."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_VENV, _WANTED = ROOT / ".cache" / "bench-venv", ROOT / "requirements-bench.txt"


def peers_python() -> str:
    """Path of the interpreter; the environment is made, or made up to date, where it is not."""
    python, done = _VENV / "bin" / "python", _VENV / ".done"
    wanted = hashlib.sha256(_WANTED.read_bytes()).hexdigest()
    if done.is_file() and done.read_text() == wanted:
        _see_ours()
        return str(python)
    print("installing the peers of requirements-bench.txt", file=sys.stderr, flush=True)
    subprocess.run([sys.executable, "-m", "venv", str(_VENV)], check=True)
    _see_ours()
    pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps", "-r", str(_WANTED)]
    subprocess.run(pip, check=True)
    done.write_text(wanted)
    return str(python)


def _see_ours() -> None:
    """Torch and the like are taken from our own environment, wherever it lies now, instead of being installed twice."""
    folder = next((_VENV / "lib").glob("python*")) / "site-packages"
    (folder / "ours.pth").write_text(f"{sysconfig.get_path('purelib')}\n", encoding="utf-8")

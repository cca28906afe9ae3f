"""The shell behind `rewarddance sql` without a query: a statement ends with `;`, a dot command is a line of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress

from pipelines.cli.tables import print_table
from warehouse import Warehouse
from warehouse.errors import InvalidInputError
from warehouse.sql import query
from warehouse.tables import KEYS
from warehouse.views import VIEWS

_HELP = """.tables     tables of the warehouse
.views      views, and what one row of each is
.help       this
.quit       leave (or Ctrl+D)
A query ends with a semicolon; docs/sql.md has examples."""


def _lines() -> Iterator[str]:
    """Lines of a person with history and arrow keys, or of a pipe."""
    if sys.stdin.isatty():
        with suppress(ImportError):
            import readline  # noqa: F401
    started = ""
    while True:
        try:
            line = input("...> " if started else "sql> ") if sys.stdin.isatty() else input()
        except EOFError:
            return
        started = "" if line.rstrip().endswith(";") or line.startswith(".") else line
        yield line


def _command(line: str) -> bool:
    """Answer a dot command; False ends the shell."""
    word = line.strip()
    if word in (".quit", ".exit"):
        return False
    if word == ".tables":
        print("  ".join(sorted(KEYS)))
    elif word == ".views":
        print_table([{"view": name, "one row is": view.about} for name, view in VIEWS.items()])
    else:
        print(_HELP)
    return True


def shell(warehouse: Warehouse, limit: int, at: int | None) -> None:
    """Answer queries until the input ends; one that cannot be answered is told on stderr and the shell goes on."""
    pending: list[str] = []
    for line in _lines():
        if not pending and line.startswith("."):
            if not _command(line):
                return
            continue
        pending.append(line)
        if line.rstrip().endswith(";"):
            _answer(warehouse, "\n".join(pending), limit, at)
            pending.clear()
    if "".join(pending).strip():
        _answer(warehouse, "\n".join(pending), limit, at)


def _answer(warehouse: Warehouse, text: str, limit: int, at: int | None) -> None:
    try:
        print_table(query(warehouse, text, limit, at).to_pylist())
    except InvalidInputError as error:
        print(f"error: {error}", file=sys.stderr)

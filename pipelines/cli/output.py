"""What commands print: one JSON document with `--json`, else a short table; errors in one shape."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from warehouse.errors import ConfigError, RejectLimitError


def wants_json() -> bool:
    """True where `--json` stands on the command line (also when its parsing failed)."""
    return "--json" in sys.argv[1:]


def exit_code(error: BaseException) -> int:
    """The exit code of an error: 2 wrong usage or config, 3 rejects over the limit, else 1.

    typer carries its own copy of click, so usage errors are told by `format_message`, not by their class.
    """
    if isinstance(error, ConfigError) or hasattr(error, "format_message"):
        return 2
    return 3 if isinstance(error, RejectLimitError) else 1


def fail(error: BaseException, *, code: int) -> int:
    """Prints `error` ({"error": ...} on stdout with --json, else lines on stderr) and returns `code`."""
    from pipelines.job import error_document

    document = error_document(error)
    text = document["error"]
    if not text["message"]:
        text["message"] = error.format_message() if hasattr(error, "format_message") else type(error).__name__
    if wants_json():
        print(json.dumps(document, default=str))
    else:
        where = f" (at {text['where']})" if text["where"] else ""
        print(f"error: {text['message']}{where}", file=sys.stderr)
        if text["hint"]:
            print(f"hint:  {text['hint']}", file=sys.stderr)
    return code


def emit(document: Mapping[str, Any] | list[Any], as_json: bool) -> None:
    """Prints a document: JSON, or `key  value` lines and a table for each list of rows."""
    if as_json:
        print(json.dumps(document, default=str))
        return
    from pipelines.cli.tables import print_answer, print_table

    if isinstance(document, Mapping):
        print_answer(document)
    else:
        print_table(document)


def receipt_document(receipt: Any) -> dict[str, Any]:
    """A stage's receipt as a command's answer: counts and outputs on one level."""
    body = receipt.model_dump(mode="json")
    return {
        "stage": body["stage"],
        "changed": body["changed"],
        "seconds": body["seconds"],
        **body["counts"],
        **body["outputs"],
        "rejects": sum(body["rejected"].values()),
        "rejects_by_reason": body["rejected"],
        "over_limit": body["over_limit"],
    }


def finish(receipt: Any, as_json: bool, *, fail_if_unchanged: bool = False) -> None:
    """Prints a receipt and leaves with 3 (over the limit), 4 (unchanged, and asked for) or 0."""
    emit(receipt_document(receipt), as_json)
    _leave(receipt, fail_if_unchanged)


def finish_import(receipt: Any, as_json: bool, *, fail_if_unchanged: bool = False) -> None:
    """As `finish`, with the counts that every import answers, always all of them."""
    from warehouse.importers.answer import import_answer

    about = {"stage": receipt.stage, "seconds": receipt.seconds, "over_limit": receipt.over_limit}
    emit(import_answer(receipt) | about, as_json)
    if receipt.rejected and not as_json:
        query = f"SELECT location, reason, detail FROM rejects WHERE run_id = '{receipt.run_id}'"
        print(f'rejects:  rewarddance sql "{query}"', file=sys.stderr)
    _leave(receipt, fail_if_unchanged)


def _leave(receipt: Any, fail_if_unchanged: bool) -> None:
    import typer

    if receipt.over_limit:
        raise typer.Exit(3)
    if fail_if_unchanged and not receipt.changed:
        raise typer.Exit(4)

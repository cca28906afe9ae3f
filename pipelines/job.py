"""One stage in a process of its own: forked by a nursery, or `python -m pipelines.job JOB.json NAME`.

A job file holds {stage, options, warehouse, receipt}. The job writes the receipt (temporary name, then rename) and
sends a message for each step of progress. It ends with 0 when done, 3 when rejects passed the limit, else 1 with
{"error": ...} as its last message.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipelines.config import explain
from warehouse.errors import ConfigError, RewardDanceError
from warehouse.parameters import settle
from warehouse.plugins import load_plugin
from warehouse.stage import StageConfig

DONE, FAILED, OVER_LIMIT = 0, 1, 3
Send = Callable[[dict[str, Any]], None]


def config_class(stage: str) -> type[StageConfig]:
    """The config class that `module:ConfigClass` names; ConfigError where it is none."""
    found = load_plugin(stage)
    if not (isinstance(found, type) and issubclass(found, StageConfig)):
        raise ConfigError(f"{stage} is not the config of a stage", hint="stages are named module:ConfigClass")
    return found


def run_stage_config(stage: str, options: Mapping[str, Any], warehouse_url: str) -> Any:
    """The receipt of `module:ConfigClass` run with `options`; ConfigError where class or options do not fit."""
    from warehouse import open_warehouse

    chosen = config_class(stage)
    try:
        config = chosen(**options)
    except ValidationError as error:
        raise ConfigError(explain(error), where=stage, hint="keys are those of the config class") from error
    with open_warehouse(warehouse_url) as warehouse:
        return importlib.import_module(stage.partition(":")[0]).run(config, warehouse)


def error_document(error: BaseException) -> dict[str, Any]:
    """{"error": {type, message, where, hint}} of any exception."""
    message, where, hint = str(error), "", ""
    if isinstance(error, RewardDanceError):
        message, where, hint = error.message, error.where, error.hint
    return {"error": {"type": type(error).__name__, "message": message, "where": where, "hint": hint}}


def write_json(path: Path, document: Any) -> None:
    """`document` at `path`, all of it or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(document, indent=1, default=str), encoding="utf-8")
    os.replace(temporary, path)


def execute(job: Mapping[str, Any], send: Send) -> int:
    """Runs one job in this process and writes its receipt; returns the exit code."""
    from warehouse.stage import on_progress

    def tell(done: int, total: int, note: str) -> None:
        send({"done": done, "total": total, "note": note})

    with on_progress(tell):
        receipt = run_stage_config(job["stage"], job["options"], job["warehouse"])
    write_json(Path(job["receipt"]), {"key": job["key"], "receipt": receipt.model_dump(mode="json")})
    return OVER_LIMIT if receipt.over_limit else DONE


def run_file(path: str, send: Send) -> int:
    """Runs the job in `path`; what goes wrong is sent as {"error": ...} and told in full on stderr."""
    settle()
    try:
        return execute(json.loads(Path(path).read_text(encoding="utf-8")), send)
    except Exception as error:
        send(error_document(error))
        # The log may be on the very disk that is full.
        with suppress(OSError):
            traceback.print_exc()
        return FAILED


def main(arguments: list[str]) -> int:
    """Entry point: a job file, and the name to send messages under."""
    path, name = arguments
    return run_file(path, lambda message: print(json.dumps({"name": name, **message}), flush=True))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Options that commands share."""

from __future__ import annotations

from typing import Annotated

import typer

WarehouseUrl = Annotated[str, typer.Option("--warehouse", envvar="REWARDDANCE_WAREHOUSE",
                                           help="Folder (or URL) of the warehouse; made if absent.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, nothing else.")]
Unchanged = Annotated[bool, typer.Option("--fail-if-unchanged", help="Exit code 4 when there was nothing to do.")]
Set = Annotated[list[str] | None, typer.Option("--set", help="KEY=VALUE of the stage's config, VALUE as YAML.")]
DEFAULT_WAREHOUSE = "warehouse-data"
IMPORT_COUNTS = ("read", "duplicates", "prompts", "candidates", "pairs", "ties", "votes", "rejects", "already_there",
                 "media_absent")


def parse_settings(settings: list[str] | None) -> dict[str, object]:
    """{"KEY": value} of `KEY=VALUE` texts; ConfigError where there is no `=`."""
    import yaml

    from warehouse.errors import ConfigError

    parsed: dict[str, object] = {}
    for text in settings or []:
        key, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"--set needs KEY=VALUE, got {text!r}")
        parsed[key] = yaml.safe_load(value)
    return parsed


def run_one(stage: str, warehouse: str, settings: list[str] | None, as_json: bool, fail_if_unchanged: bool) -> None:
    """Runs one stage from `--set` options and prints its receipt."""
    from pipelines.cli.output import finish
    from pipelines.job import run_stage_config

    finish(run_stage_config(stage, parse_settings(settings), warehouse), as_json, fail_if_unchanged=fail_if_unchanged)

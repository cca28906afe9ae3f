"""Options that commands share, and the shape of a command that runs one stage."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from warehouse.stage import Receipt

WarehouseUrl = Annotated[
    str, typer.Option("--warehouse", envvar="REWARDDANCE_WAREHOUSE", help="Folder of the warehouse; made if absent.")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, nothing else.")]
Unchanged = Annotated[bool, typer.Option("--fail-if-unchanged", help="Exit code 4 when there was nothing to do.")]
Set = Annotated[list[str] | None, typer.Option("--set", help="KEY=VALUE of the stage's config, VALUE as YAML; repeat.")]
Keys = Annotated[bool, typer.Option("--keys", help="List the keys of the stage's config and stop.")]
Port = Annotated[int, typer.Option(help="Port of loopback; 0 takes a free one.", min=0, max=65535)]
NoOpen = Annotated[bool, typer.Option("--no-open", help="Print the address, do not open a browser.")]
DEFAULT_WAREHOUSE = "warehouse-data"


def parse_settings(settings: list[str] | None) -> dict[str, object]:
    """{"KEY": value} of `KEY=VALUE` texts; ConfigError where there is no `=` or the value is not YAML."""
    import yaml

    from warehouse.errors import ConfigError

    parsed: dict[str, object] = {}
    for text in settings or []:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise ConfigError(f"--set needs KEY=VALUE, got {text!r}")
        try:
            parsed[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ConfigError(f"the value of {key} is not YAML: {value!r}") from error
    return parsed


def staged(stage: str, options: Mapping[str, object], warehouse: str) -> Receipt:
    """The receipt of one stage, `module:ConfigClass`, with its progress on stderr."""
    from pipelines.job import run_stage_config
    from pipelines.progress import StageProgress
    from warehouse.stage import on_progress

    with StageProgress(stage.rpartition(".")[2].partition(":")[0]) as progress, on_progress(progress):
        receipt: Receipt = run_stage_config(stage, dict(options), warehouse)
    return receipt


def run_one(stage: str, warehouse: str, settings: list[str] | None, as_json: bool, fail_if_unchanged: bool) -> None:
    """Runs one stage from `--set` options and prints its receipt."""
    from pipelines.cli.output import finish

    finish(staged(stage, parse_settings(settings), warehouse), as_json, fail_if_unchanged=fail_if_unchanged)


def stage_command(stage: str, about: str) -> Callable[..., None]:
    """A command that runs `module:ConfigClass` with `--set` options; `about` is its help."""

    def command(
        set: Set = None,
        keys: Keys = False,
        warehouse: WarehouseUrl = DEFAULT_WAREHOUSE,
        json: Json = False,
        fail_if_unchanged: Unchanged = False,
    ) -> None:
        if keys:
            print_keys(stage, json)
        else:
            run_one(stage, warehouse, set, json, fail_if_unchanged)

    command.__doc__ = about
    return command


def print_keys(stage: str, as_json: bool) -> None:
    """The keys of a stage's config class: name, type, default, required."""
    from pipelines.cli.output import emit
    from pipelines.job import config_class

    fields = config_class(stage).model_fields
    emit(
        [
            {
                "key": name,
                "type": str(field.annotation).replace("typing.", "").replace("<class '", "").rstrip("'>"),
                "default": None if field.is_required() else field.get_default(call_default_factory=True),
                "required": field.is_required(),
            }
            for name, field in fields.items()
        ],
        as_json,
    )

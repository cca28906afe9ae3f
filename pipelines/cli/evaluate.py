"""`rewarddance rm eval`: one model on the splits of a dataset version, as a page, JSON and rows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.cli.options import DEFAULT_WAREHOUSE, Json, Unchanged, WarehouseUrl


def evaluate(
    model: Annotated[str, typer.Argument(help="Model id of the warehouse, or a folder.")],
    dataset: Annotated[str, typer.Option(help="NAME@V; V may be a tag or latest.")],
    split: Annotated[list[str] | None, typer.Option(help="Repeat; default test and ood.")] = None,
    task: Annotated[list[str] | None, typer.Option(help="Only these tasks; repeat.")] = None,
    dimension: Annotated[list[str] | None, typer.Option(help="Only these dimensions; repeat.")] = None,
    against: Annotated[str, typer.Option(help="A second model; the difference is tested on the same pairs.")] = "",
    limit: Annotated[int, typer.Option(min=0, help="Most samples of a split; 0 = all.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Folder of the page (default WAREHOUSE/evaluations).")] = None,
    warehouse: WarehouseUrl = DEFAULT_WAREHOUSE,
    json: Json = False,
    fail_if_unchanged: Unchanged = False,
) -> None:
    """Accuracy with intervals by part, ties, flips, calibration. Example: rewarddance rm eval MODEL --dataset demo@1"""
    from pipelines.cli.output import finish
    from pipelines.progress import StageProgress
    from rm.evaluate import EvaluateConfig, run
    from warehouse import open_warehouse
    from warehouse.datasets.versions import find_version
    from warehouse.stage import on_progress

    with open_warehouse(warehouse) as opened, StageProgress("evaluation") as progress, on_progress(progress):
        version = find_version(opened, dataset)
        name = f"{Path(model).name}-{version['name']}-v{version['version']}{'-paired' if against else ''}.html"
        config = EvaluateConfig(
            model_id=model,
            dataset=version["name"],
            version=version["version"],
            splits=tuple(split or ("test", "ood")),
            tasks=tuple(task or ()),
            dimensions=tuple(dimension or ()),
            against=against,
            limit=limit,
            page=(out or opened.root / "evaluations") / name,
        )
        receipt = run(config, opened)
    if json:
        outputs = {**receipt.outputs, "page": str(config.page)}
        finish(receipt.model_copy(update={"outputs": outputs}), True, fail_if_unchanged=fail_if_unchanged)
        return
    _summary(receipt.outputs)
    print(f"page                 {config.page}")
    if fail_if_unchanged and not receipt.changed:
        raise typer.Exit(4)


def _summary(found: Mapping[str, Any]) -> None:
    """The numbers that matter, one a line; the page holds the rest."""
    from pipelines.cli.tables import print_table

    parts: Mapping[str, Mapping[str, Any]] = found["parts"]
    print_table(
        [
            {
                "part": name,
                "accuracy %": _percent(each["value"]),
                "low": _percent(each["ci_low"]),
                "high": _percent(each["ci_high"]),
                "pairs": each["n"],
            }
            for name, each in parts.items()
            if each["n"]
        ]
    )
    for name in ("flip_rate", "ece", "spread", "levels", "annotator_ceiling", "tie_threshold"):
        value = found[name]
        print(
            f"{name.replace('_', ' '):<20} {value:.3f}"
            if isinstance(value, float)
            else f"{name.replace('_', ' '):<20} {'-' if value is None else value}"
        )


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"

"""`rewarddance reproduce`: a table of the paper in miniature, on the simulation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.options import Json

_DATA = "A dataset version NAME@V of --warehouse; without it the demo's image data are made under OUT."


def reproduce(
    table: Annotated[int, typer.Option(help="2 (size), 7 (form) or 9 (rationales) of arXiv 2509.08826.")],
    budget: Annotated[float, typer.Option(min=0.1, help="Minutes to train and ask; the same command goes on.")] = 60,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each arm.")] = 3,
    steps: Annotated[int, typer.Option(min=1, help="Steps of each training.")] = 150,
    pairs: Annotated[int, typer.Option(min=0, help="Most pairs asked of a split; 0 = all.")] = 300,
    dataset: Annotated[str, typer.Option(help=_DATA)] = "",
    warehouse: Annotated[str | None, typer.Option(help="Folder of the rows (default OUT/warehouse).")] = None,
    out: Annotated[Path, typer.Option(help="Folder of the pages, and of the answers kept.")] = Path("runs/reproduce"),
    json: Json = False,
) -> None:
    """The paper's accuracy tables on the simulation. Example: rewarddance reproduce --table 7 --budget 40"""
    import sys

    from pipelines.cli.output import emit
    from pipelines.reproduction.measure import Plan, data_config, measure
    from pipelines.reproduction.page import document, html, markdown
    from pipelines.reproduction.tables import find_table
    from pipelines.run import run
    from warehouse import open_warehouse
    from warehouse.datasets.versions import find_version

    chosen = find_table(table)
    rows = warehouse or str(out / "warehouse")
    if not dataset:
        made = run(data_config(), out, rows)["dataset"]
        dataset = f"{made['name']}@{made['version']}"
    out.mkdir(parents=True, exist_ok=True)
    with open_warehouse(rows) as opened:
        version = find_version(opened, dataset)
        plan = Plan(version["name"], version["version"], out, budget, seeds, steps, pairs=pairs)
        measured = measure(chosen, plan, opened, lambda text: print(text, file=sys.stderr))
    found = document(chosen, measured, plan)
    for suffix, text in (("html", html(found)), ("md", markdown(found))):
        (out / f"table_{table}.{suffix}").write_text(text, encoding="utf-8")
    if json:
        emit({**found, "page": str(out / f"table_{table}.html")}, True)
    else:
        print(markdown(found), end="")
        print(f"Page: {out / f'table_{table}.html'}")

"""`rewarddance try FOLDER`: vote on a folder of pictures or clips in the browser, without Label Studio.

Composes stages that stand (ingest, pairing, open tasks) and the voter; at the end it prints win rates and writes the
votes and a page with the pictures beside each other.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.cli.options import DEFAULT_WAREHOUSE, Json, NoOpen, Port, WarehouseUrl

if TYPE_CHECKING:
    from warehouse import Warehouse

Table = Annotated[Path | None, typer.Option("--table", help="CSV: path, and optionally prompt, generator, condition.")]
Prompt = Annotated[str, typer.Option(help="The prompt of all files, whatever their names say.")]
Rater = Annotated[str, typer.Option("--as", help="Who votes; another name starts from the first pair.")]
Dimension = Annotated[str, typer.Option(help="overall, text_alignment, visual_quality or motion_quality.")]
PerPrompt = Annotated[int, typer.Option(help="Most pairs of one prompt.", min=1)]
Out = Annotated[Path | None, typer.Option(help="Folder of votes.jsonl and page.html (default runs/try-<folder>).")]


def try_(
    folder: Path,
    table: Table = None,
    prompt: Prompt = "",
    rater: Rater = "me",
    dimension: Dimension = "overall",
    per_prompt: PerPrompt = 200,
    port: Port = 0,
    no_open: NoOpen = False,
    out: Out = None,
    warehouse: WarehouseUrl = DEFAULT_WAREHOUSE,
    json: Json = False,
) -> None:
    """Vote on a folder of pictures or clips in the browser. Example: rewarddance try my_pictures"""
    from annotation.voter.app import Voter
    from annotation.voter.serve import serve
    from annotation.voter.session import Session
    from pipelines.cli.output import emit
    from warehouse import open_warehouse

    with open_warehouse(warehouse) as opened:
        campaign_id = prepare(opened, folder, table, prompt, dimension, per_prompt)
        session = Session(opened, campaign_id, rater)
        serve(lambda finished: Voter(session, finished), port, lambda address: announce(address, no_open))
        found = write_results(opened, campaign_id, out or Path("runs") / f"try-{folder.resolve().name}")
    if json:
        emit(found, True)
    else:
        _print(found)


def announce(
    address: str, no_open: bool, what: str = "vote here", how: str = "end with E on the page, or Ctrl-C here"
) -> None:
    """Say where the page is, on stderr, and open a browser there."""
    typer.echo(f"{what}:  {address}\n{how}", err=True)
    if not no_open:
        typer.launch(address)


def prepare(
    warehouse: Warehouse, folder: Path, table: Path | None, prompt: str, dimension: str, per_prompt: int
) -> str:
    """Candidates, pairs and open tasks of a folder; the campaign's id. What is there already stays as it is."""
    from annotation import open_tasks, pairing
    from annotation.voter.folder import manifest, read_folder
    from generation import ingest
    from warehouse.errors import RejectLimitError

    entries = read_folder(folder, table, prompt)
    source, task = f"try:{folder.resolve()}", entries[0].task
    listed = warehouse.root / "try" / "manifest.csv"
    listed.parent.mkdir(exist_ok=True)
    listed.write_text(manifest(entries), encoding="utf-8")
    taken = ingest.run(ingest.IngestConfig(manifest=listed, root=folder, source=source), warehouse)
    if taken.over_limit:
        raise RejectLimitError(f"most files of {folder} cannot be used: {taken.rejected}", hint="see the table rejects")
    pairs = pairing.PairingConfig(
        task=task,
        candidate_source=source,
        across_generators=len({entry.generator for entry in entries}) > 1,
        pairs_per_prompt=per_prompt,
    )
    pairing.run(pairs, warehouse)
    asked = open_tasks.OpenTaskConfig(
        name=f"try {folder.resolve().name}",
        task=task,
        dimensions=(dimension,),
        votes_per_pair=1,
        candidate_source=source,
    )
    return str(open_tasks.run(asked, warehouse).outputs["campaign_id"])


def write_results(warehouse: Warehouse, campaign_id: str, out: Path) -> dict[str, Any]:
    """votes.jsonl and page.html into `out`; answers the win rates and both paths."""
    from annotation.voter.results import summary, vote_lines, voted
    from pipelines.report.tried import write_page

    rows = voted(warehouse, campaign_id)
    found = {"campaign_id": campaign_id, **summary(rows)}
    out.mkdir(parents=True, exist_ok=True)
    (out / "votes.jsonl").write_text(vote_lines(rows), encoding="utf-8")
    write_page(warehouse, found, rows, out / "page.html")
    return found | {"votes_file": str(out / "votes.jsonl"), "page": str(out / "page.html")}


def _print(found: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table as Printed

    table = Printed("generator", "win rate", "95 %", "won", "even", "votes", title=f"{found['votes']} votes")
    for rate in found["win_rates"]:
        interval = f"{rate['low']:.0%} to {rate['high']:.0%}"
        table.add_row(
            rate["generator"], f"{rate['rate']:.0%}", interval, *map(str, (rate["wins"], rate["ties"], rate["votes"]))
        )
    Console().print(table)
    typer.echo(f"votes    {found['votes_file']}\npictures {found['page']}")

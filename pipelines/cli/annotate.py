"""`rewarddance annotate`: the raters' servers, pairs, campaigns, votes and consensus."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.cli import raters as people
from pipelines.cli.options import (
    DEFAULT_WAREHOUSE,
    Json,
    Set,
    Unchanged,
    WarehouseUrl,
    parse_settings,
    stage_command,
)

app = typer.Typer(no_args_is_help=True)
_COMMANDS = {
    "pairs": (
        "annotation.pairing:PairingConfig",
        "Choose pairs of candidates. Example: rewarddance annotate pairs --set task=t2i --set strategy=random",
    ),
    "campaign": (
        "annotation.campaign:CampaignConfig",
        "Publish pairs to a back end and pull votes. Example: rewarddance annotate campaign --set name=first",
    ),
    "consensus": (
        "annotation.consensus:ConsensusConfig",
        "Turn votes into preferences and agreement. Example: rewarddance annotate consensus --set method=dawid_skene",
    ),
    "compare": (
        "annotation.held_out:HeldOutConfig",
        "How well each consensus foretells raters left out. Example: rewarddance annotate compare "
        "--set vote_sources=[likert-csv]",
    ),
    "items": (
        "annotation.items:ItemConfig",
        "Pass or fail about single candidates. Example: rewarddance annotate items --set name=look "
        "--set backend=my_inspectors:Inspectors",
    ),
    "pass-fail": (
        "annotation.schemes:PassFailConfig",
        "Preferences from pass and fail, and the agreement of both schemes. Example: rewarddance annotate pass-fail",
    ),
    "rationales": (
        "annotation.rationales:RationaleConfig",
        "Reasons written by a model, kept where they carry the verdict. Example: rewarddance annotate rationales "
        "--set consensus_id=ID --set 'options={url: http://127.0.0.1:8000/v1, model: NAME}'",
    ),
}
for _name, (_stage, _about) in _COMMANDS.items():
    app.command(_name)(stage_command(_stage, _about))
for _command in (
    people.report,
    people.plan,
    people.payroll,
    people.extra,
    people.resume,
    people.vote,
    people.qualify,
    people.questions,
):
    app.command(_command.__name__)(_command)


Names = Annotated[Path | None, typer.Option("--raters", help="File with one name or e-mail address a line.")]
Database = Annotated[str, typer.Option(help="postgresql://user:password@host/name; default SQLite, up to 10 raters.")]
Listen = Annotated[str, typer.Option(help="HOST:PORT of the raters' server; port 0 is a free one.")]
PublicUrl = Annotated[str, typer.Option(help="Address in the links, where a proxy stands in front.")]
Media = Annotated[str, typer.Option(help="s3://BUCKET/PREFIX: media come from there by presigned address.")]
Bell = Annotated[bool, typer.Option(help="Sync as soon as raters answer, or leave that to the schedule.")]
Yes = Annotated[bool, typer.Option("--yes", help="Install Label Studio (about 1 GB) without asking.")]


@app.command()
def up(
    raters: Names = None,
    database: Database = "",
    listen: Listen = "127.0.0.1:0",
    public_url: PublicUrl = "",
    media: Media = "",
    bell: Bell = True,
    yes: Yes = False,
    warehouse: WarehouseUrl = DEFAULT_WAREHOUSE,
    json: Json = False,
    fail_if_unchanged: Unchanged = False,
) -> None:
    """Start Label Studio and the raters' server; one link each. Example: rewarddance annotate up --raters people.txt"""
    from annotation.label_studio.raters import read_names
    from annotation.label_studio.up import Wishes
    from annotation.label_studio.up import up as start
    from pipelines.cli.output import emit

    def agree(question: str) -> bool:
        return yes or (sys.stdin.isatty() and typer.confirm(question, err=True))

    def warn(text: str) -> None:
        typer.echo(f"warning: {text}", err=True)

    typer.echo("starting (the very first time takes some minutes) ...", err=True)
    wishes = Wishes(read_names(raters) if raters else (), database, listen, public_url.rstrip("/"), media, bell)
    answer = start(warehouse, wishes, agree, warn)
    emit(answer if json else {name: value for name, value in answer.items() if name != "links"}, json)
    for name, link in ({} if json else answer["links"]).items():
        typer.echo(f"{name:<20} {link}")
    _leave(answer, fail_if_unchanged)


@app.command()
def down(warehouse: WarehouseUrl = DEFAULT_WAREHOUSE, json: Json = False, fail_if_unchanged: Unchanged = False) -> None:
    """Stop both servers; nothing is lost. Example: rewarddance annotate down"""
    from annotation.label_studio.up import down as stop
    from pipelines.cli.output import emit

    answer = stop(warehouse)
    emit(answer, json)
    _leave(answer, fail_if_unchanged)


@app.command()
def status(warehouse: WarehouseUrl = DEFAULT_WAREHOUSE, json: Json = False) -> None:
    """What runs, and where. Example: rewarddance annotate status"""
    from annotation.label_studio.up import status as look
    from pipelines.cli.output import emit

    emit(look(warehouse), json)


@app.command()
def publish(
    campaign: Annotated[str, typer.Option(help="Name of the campaign.")],
    task: Annotated[str, typer.Option(help="t2i, t2v, i2v or edit.")] = "t2i",
    dimensions: Annotated[str, typer.Option(help="Questions, separated by commas.")] = "overall",
    votes: Annotated[int, typer.Option(help="People asked about each pair, or item.")] = 3,
    items: Annotated[bool, typer.Option("--items", help="Single candidates, to be passed or failed.")] = False,
    regions: Annotated[bool, typer.Option("--regions", help="Let raters paint over what is broken.")] = False,
    admission: Annotated[bool, typer.Option("--admission", help="Raters take a test first: 8 of 10 right.")] = False,
    set: Set = None,
    warehouse: WarehouseUrl = DEFAULT_WAREHOUSE,
    json: Json = False,
    fail_if_unchanged: Unchanged = False,
) -> None:
    """Show a campaign's pairs in Label Studio. Example: rewarddance annotate publish --campaign first --votes 3"""
    from pydantic import ValidationError

    from annotation.label_studio.publish import config_of, item_config_of
    from annotation.label_studio.publish import publish as show
    from pipelines.cli.output import finish
    from pipelines.config import explain
    from warehouse import open_warehouse
    from warehouse.errors import ConfigError

    asked_of = "votes_per_item" if items else "votes_per_pair"
    given: dict[str, Any] = {"task": task, "dimensions": tuple(dimensions.split(",")), asked_of: votes}
    given |= parse_settings(set)
    if regions or admission:
        asked: dict[str, Any] = {"regions": True} if regions else {}
        asked |= {"admission": {}} if admission else {}
        given["backend_options"] = asked | given.get("backend_options", {})
    try:
        config = item_config_of(campaign, given) if items else config_of(campaign, given)
    except ValidationError as error:
        stage = "items" if items else "campaign"
        raise ConfigError(explain(error), where="--set", hint=f"rewarddance annotate {stage} --keys") from error
    with open_warehouse(warehouse) as opened:
        finish(show(opened, config), json, fail_if_unchanged=fail_if_unchanged)


@app.command()
def sync(
    campaign: Annotated[str, typer.Option(help="Only the campaign of this name.")] = "",
    full: Annotated[bool, typer.Option("--full", help="Read everything again, not only what changed.")] = False,
    warehouse: WarehouseUrl = DEFAULT_WAREHOUSE,
    json: Json = False,
    fail_if_unchanged: Unchanged = False,
) -> None:
    """Take in what raters answered since the last time. Example: rewarddance annotate sync"""
    from annotation.label_studio.sync import sync as take_in
    from annotation.label_studio.sync import totals
    from pipelines.cli.output import emit
    from warehouse import open_warehouse

    with open_warehouse(warehouse) as opened:
        answer = totals(take_in(opened, campaign, full))
    emit(answer, json)
    if answer["over_limit"]:
        raise typer.Exit(3)
    _leave(answer, fail_if_unchanged)


def _leave(answer: Mapping[str, Any], fail_if_unchanged: bool) -> None:
    if fail_if_unchanged and not answer["changed"]:
        raise typer.Exit(4)

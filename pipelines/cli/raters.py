"""`rewarddance annotate report | plan | payroll | extra | resume | vote | qualify | questions`: people and pages."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.cli.options import DEFAULT_WAREHOUSE, Json, NoOpen, Port, Unchanged, WarehouseUrl

Out = Annotated[Path | None, typer.Option(help="Page to write (default runs/annotators-<campaign>.html).")]
Pairs = Annotated[int, typer.Option(help="Pairs to be voted on.", min=1)]
Overlap = Annotated[int, typer.Option("--votes-per-pair", help="Votes that every pair gets.", min=1)]
MaxVotes = Annotated[int, typer.Option(help="Votes of a pair on which raters disagree.", min=1)]
Raters = Annotated[int, typer.Option(help="Raters at work.", min=1)]
Hours = Annotated[float, typer.Option("--hours-per-day", help="Hours a day and rater.")]
Price = Annotated[float, typer.Option("--price-per-hour", help="Pay an hour, in any currency.")]
Seconds = Annotated[float, typer.Option(help="Seconds a task, where no rater has done any yet.")]
Task = Annotated[str, typer.Option(help="t2i, t2v, i2v or edit: whose history counts.")]
Campaign = Annotated[str, typer.Option(help="Name or id of a campaign: its pace, or only its votes.")]
Start = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="First day (default today).")]
Csv = Annotated[Path | None, typer.Option("--csv", help="File to write.")]
Longest = Annotated[float, typer.Option(help="Seconds of one task that are paid at most.")]


def report(campaign: str, out: Out = None, warehouse: WarehouseUrl = DEFAULT_WAREHOUSE, json: Json = False) -> None:
    """Raters, agreement and questions of a campaign, with a page. Example: rewarddance annotate report first"""
    from annotation.raters import rater_report
    from pipelines.cli.output import emit
    from pipelines.report.raters import write_page
    from warehouse import open_warehouse

    with open_warehouse(warehouse) as opened:
        found = rater_report(opened, campaign)
    page = out or Path("runs") / f"annotators-{found['campaign'].replace('/', '-')}.html"
    write_page(found, page)
    if json:
        emit(found | {"page": str(page)}, True)
    else:
        _print_report(found)
        typer.echo(f"page {page}")


def plan(
    pairs: Pairs,
    votes_per_pair: Overlap = 3,
    max_votes: MaxVotes = 5,
    raters: Raters = 10,
    hours_per_day: Hours = 4.0,
    price_per_hour: Price = 0.0,
    seconds: Seconds = 8.0,
    task: Task = "t2i",
    campaign: Campaign = "",
    start: Start = None,
    warehouse: WarehouseUrl = DEFAULT_WAREHOUSE,
    json: Json = False,
) -> None:
    """Votes, hours, cost and end date. Example: rewarddance annotate plan --pairs 5000 --raters 20"""
    from annotation.budget import Job, history
    from annotation.budget import plan as estimate
    from annotation.raters import find_campaign
    from pipelines.cli.output import emit
    from warehouse import open_warehouse

    job = Job(pairs, votes_per_pair, max(max_votes, votes_per_pair), raters, hours_per_day, price_per_hour, seconds)
    with open_warehouse(warehouse) as opened:
        campaign_id = find_campaign(opened, campaign)["campaign_id"] if campaign else ""
        found = estimate(job, history(opened, task, campaign_id), (start or datetime.now()).date())
    emit(found if json else _in_words(found), json)


def payroll(
    campaign: Campaign = "",
    longest: Longest = 120.0,
    csv: Csv = None,
    warehouse: WarehouseUrl = DEFAULT_WAREHOUSE,
    json: Json = False,
) -> None:
    """Accepted votes and capped time per rater and day. Example: rewarddance annotate payroll --csv november.csv"""
    from annotation.budget import payroll as earned
    from annotation.budget import totals
    from pipelines.cli.output import emit
    from warehouse import open_warehouse

    with open_warehouse(warehouse) as opened:
        rows = earned(opened, campaign, longest)
    if csv:
        _write_csv(csv, rows)
    emit({**totals(rows), "days": rows}, json)


def extra(
    campaign: str,
    certainty: Annotated[float, typer.Option(help="Stop a pair where the consensus is this certain.")] = 0.9,
    max_votes: MaxVotes = 5,
    budget: Annotated[int, typer.Option(help="Votes of the campaign in all; 0 for no limit.", min=0)] = 0,
    warehouse: WarehouseUrl = DEFAULT_WAREHOUSE,
    json: Json = False,
    fail_if_unchanged: Unchanged = False,
) -> None:
    """One more vote where raters disagree, then an expert. Example: rewarddance annotate extra first --certainty 0.9"""
    from annotation.extra_votes import ExtraVoteConfig
    from annotation.extra_votes import run as add
    from annotation.raters import find_campaign
    from annotation.stopping import StoppingRules
    from pipelines.cli.output import finish
    from warehouse import open_warehouse

    rules = StoppingRules(certainty=certainty, max_votes=max_votes, budget_votes=budget)
    with open_warehouse(warehouse) as opened:
        campaign_id = find_campaign(opened, campaign)["campaign_id"]
        receipt = add(ExtraVoteConfig(campaign_id=campaign_id, rules=rules), opened)
    finish(receipt, json, fail_if_unchanged=fail_if_unchanged)


def resume(
    rater: Annotated[str, typer.Argument(help="Pseudonym, as `annotate report` shows it.")],
    reason: Annotated[str, typer.Option(help="Why they may go on; kept with the event.")],
    warehouse: WarehouseUrl = DEFAULT_WAREHOUSE,
    json: Json = False,
) -> None:
    """Let a paused rater go on. Example: rewarddance annotate resume rater-0123abcd --reason talked"""
    from annotation.admission import resume as go_on
    from pipelines.cli.output import emit
    from warehouse import open_warehouse
    from warehouse.errors import NotFoundError

    with open_warehouse(warehouse) as opened:
        found = opened.rows("SELECT annotator_id FROM annotators WHERE pseudonym = ?", [rater])
        if not found:
            raise NotFoundError(f"no rater {rater!r}", hint="rewarddance annotate report CAMPAIGN lists them")
        go_on(opened, found[0]["annotator_id"], reason)
    emit({"rater": rater, "standing": "resumed", "reason": reason}, json)


def vote(
    campaign: str,
    rater: Annotated[str, typer.Option("--as", help="Who votes.")] = "me",
    port: Port = 0,
    no_open: NoOpen = False,
    warehouse: WarehouseUrl = DEFAULT_WAREHOUSE,
    json: Json = False,
) -> None:
    """Vote on a campaign's open or disputed pairs here. Example: rewarddance annotate vote "first adjudication" """
    from annotation.raters import find_campaign
    from annotation.voter.app import Voter
    from annotation.voter.results import summary, voted
    from annotation.voter.serve import serve
    from annotation.voter.session import Session
    from pipelines.cli.output import emit
    from pipelines.cli.try_ import announce
    from warehouse import open_warehouse

    with open_warehouse(warehouse) as opened:
        campaign_id = find_campaign(opened, campaign)["campaign_id"]
        session = Session(opened, campaign_id, rater)
        serve(lambda finished: Voter(session, finished), port, lambda address: announce(address, no_open))
        emit({"campaign_id": campaign_id, **summary(voted(opened, campaign_id))}, json)


def qualify(
    campaign: str,
    rater: Annotated[str, typer.Option("--as", help="Who takes the test.")] = "me",
    port: Port = 0,
    no_open: NoOpen = False,
    warehouse: WarehouseUrl = DEFAULT_WAREHOUSE,
    json: Json = False,
) -> None:
    """Take a campaign's admission test here, in the browser. Example: rewarddance annotate qualify first --as ann"""
    from annotation.raters import find_campaign
    from annotation.voter.qualify import Qualify
    from annotation.voter.serve import serve
    from pipelines.cli.output import emit
    from pipelines.cli.try_ import announce
    from warehouse import open_warehouse

    with open_warehouse(warehouse) as opened:
        found = find_campaign(opened, campaign)
        serve(
            lambda finished: Qualify(opened, found, rater, finished),
            port,
            lambda address: announce(address, no_open, "answer here", "it ends by itself; Ctrl-C keeps the answers"),
        )
        emit({"campaign_id": found["campaign_id"], **Qualify(opened, found, rater, lambda: None).results()}, json)


def questions(
    file: Annotated[Path, typer.Argument(help="CSV: pair_id, label (a, b, tie, both_bad), explanation; dimension.")],
    draft: Annotated[int, typer.Option(help="Write the file instead: so many pairs, to be completed by you.")] = 0,
    task: Annotated[str, typer.Option(help="Of a draft: t2i, t2v, i2v or edit.")] = "t2i",
    dimension: Annotated[str, typer.Option(help="Of a draft.")] = "overall",
    warehouse: WarehouseUrl = DEFAULT_WAREHOUSE,
    json: Json = False,
    fail_if_unchanged: Unchanged = False,
) -> None:
    """Add pairs whose answer is known: for admission and gold. Example: rewarddance annotate questions known.csv"""
    from annotation import questions as known
    from pipelines.cli.output import emit, finish
    from warehouse import open_warehouse

    with open_warehouse(warehouse) as opened:
        if draft:
            count = known.draft(opened, file, task, dimension, draft)
            emit({"changed": True, "file": str(file), "pairs": count}, json)
            return
        receipt = known.run(known.QuestionConfig(file=file), opened)
    finish(receipt, json, fail_if_unchanged=fail_if_unchanged)


def _in_words(found: dict[str, Any]) -> dict[str, str]:
    rows = {name: found[name] for name in ("votes", "hours", "cost", "end")}
    words = {name: f"{_number(row['expected'])}  ({_number(row['low'])} to {_number(row['high'])})"
             for name, row in rows.items()}  # fmt: skip
    known = [name for name, there in found["from_history"].items() if there]
    return words | {
        "seconds a vote": str(found["seconds_per_vote"]),
        "disagreement": f"{found['disagreement']:.0%}",
        "from history": ", ".join(known) or "nothing yet",
    }


def _number(value: Any) -> str:
    """Thousands apart, decimals where there are some; a date as it is."""
    return f"{value:,.10g}" if isinstance(value, float) else str(value)


def _write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    import csv

    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["rater", "day", "votes", "accepted", "seconds"])
        writer.writeheader()
        writer.writerows(rows)


def _share(value: float | None, n: int | None = None) -> str:
    return "" if value is None else f"{value:.0%}" if n is None else f"{value:.0%} of {n}"


def _print_report(found: dict[str, Any]) -> None:
    from pipelines.cli.tables import print_table

    for dimension, part in found["agreement"].items():
        value = "too few votes" if part["alpha"] is None else f"alpha {part['alpha']:.3f}"
        interval = f" ({part['ci'][0]:.3f} to {part['ci'][1]:.3f})" if part["ci"] else ""
        typer.echo(f"{dimension}: {value}{interval}, {part['votes']} votes on {part['pairs']} pairs")
    rows = [
        {
            "rater": row["rater"],
            "votes": row["votes"],
            "days": row["days"],
            "gold": _share(row["gold_accuracy"], row["gold_votes"]),
            "agrees": _share(row["agreement"]),
            "steady": _share(row["self_consistency"], row["repeats"]),
            "left": _share(row["left_share"]),
            "seconds": row["median_seconds"],
            "flags": ", ".join(row["flags"]),
            "standing": row["standing"],
        }
        for row in found["raters"]
    ]
    # What nobody has would make the table wider than a terminal.
    filled = [name for name in (rows[0] if rows else {}) if any(row[name] not in ("", None) for row in rows)]
    typer.echo()
    print_table([{name: row[name] for name in filled} for row in rows], found["campaign"])

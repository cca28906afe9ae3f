"""`rewarddance annotate`: pairs, campaigns and consensus."""

from __future__ import annotations

import typer

from pipelines.cli.options import DEFAULT_WAREHOUSE, Json, Set, Unchanged, WarehouseUrl, run_one

app = typer.Typer(no_args_is_help=True)


@app.command()
def pairs(set: Set = None, warehouse: WarehouseUrl = DEFAULT_WAREHOUSE, json: Json = False,
          fail_if_unchanged: Unchanged = False) -> None:
    """Choose pairs. Example: rewarddance annotate pairs --set strategy=random --set per_prompt=3"""
    run_one("annotation.pairing:PairingConfig", warehouse, set, json, fail_if_unchanged)


@app.command()
def campaign(set: Set = None, warehouse: WarehouseUrl = DEFAULT_WAREHOUSE, json: Json = False,
             fail_if_unchanged: Unchanged = False) -> None:
    """Publish pairs and pull votes. Example: rewarddance annotate campaign --set name=first --set task=t2i"""
    run_one("annotation.campaign:CampaignConfig", warehouse, set, json, fail_if_unchanged)


@app.command()
def consensus(set: Set = None, warehouse: WarehouseUrl = DEFAULT_WAREHOUSE, json: Json = False,
              fail_if_unchanged: Unchanged = False) -> None:
    """Turn votes into preferences. Example: rewarddance annotate consensus --set method=bradley_terry"""
    run_one("annotation.consensus:ConsensusConfig", warehouse, set, json, fail_if_unchanged)

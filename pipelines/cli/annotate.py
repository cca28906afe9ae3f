"""`rewarddance annotate`: pairs, campaigns and consensus."""

from __future__ import annotations

import typer

from pipelines.cli.options import stage_command

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
}
for _name, (_stage, _about) in _COMMANDS.items():
    app.command(_name)(stage_command(_stage, _about))

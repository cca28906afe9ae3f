"""`rewarddance`: the commands and what they share.

Owns names, help, `--json`, exit codes and errors. Every command imports what it needs when it runs, so that `--help`
answers at once. Exit codes: 0 done, 1 failed, 2 wrong usage or config, 3 good rows committed, rejects over the limit,
4 nothing to do where `--fail-if-unchanged` was given.
"""

from __future__ import annotations

import sys

import typer

from pipelines.cli import annotate, dataset, generate, loop, prompts, reproduce, reward_model, try_

app = typer.Typer(
    help="Human preference data, generative reward models and generator alignment as one versioned loop.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def begin() -> None:
    """Before any command runs."""
    from warehouse.parameters import settle

    settle()


app.command()(loop.demo)
app.command()(loop.run)
app.command("try")(try_.try_)
app.add_typer(prompts.app, name="prompts")
app.add_typer(generate.app, name="generate")
app.add_typer(annotate.app, name="annotate", help="Pairs, votes, consensus and agreement.")
app.add_typer(dataset.app, name="dataset", help="Preference data: import, build, list and show versions.")
app.add_typer(reward_model.app, name="rm", help="The reward model: train, evaluate, score.")
app.command("align")(loop.align)
app.command()(reproduce.reproduce)
app.command()(loop.report)
app.command()(loop.doctor)
app.command()(loop.sql)


def main() -> None:
    """Entry point of the script `rewarddance`."""
    try:
        code = app(standalone_mode=False)
    except KeyboardInterrupt:
        code = 130
    except Exception as error:
        from pipelines.cli.output import exit_code, fail

        code = fail(error, code=exit_code(error))
    sys.exit(code if isinstance(code, int) else 0)

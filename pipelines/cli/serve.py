"""`rewarddance rm serve`: a reward model behind HTTP, for trainers."""

from __future__ import annotations

from typing import Annotated

import typer

from pipelines.cli.options import DEFAULT_WAREHOUSE, Json, Set, WarehouseUrl, parse_settings


def serve(
    model: str,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 8000,
    references: Annotated[str, typer.Option(help="rank_key of a references stage, kept from the start.")] = "",
    urls: Annotated[bool, typer.Option("--urls", help="Fetch candidates by public URL.")] = False,
    token_variable: Annotated[str, typer.Option(help="Environment variable with the token.")] = "REWARDDANCE_TOKEN",
    no_token: Annotated[bool, typer.Option("--no-token", help="Serve other machines without one.")] = False,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    set: Set = None,
    warehouse: WarehouseUrl = DEFAULT_WAREHOUSE,
    json: Json = False,
) -> None:
    """Serve a reward model; POST /score. Example: rewarddance rm serve MODEL --references RANK_KEY --port 8000"""
    import os
    import sys

    from pydantic import ValidationError

    from annotation.gateway.listening import bound
    from pipelines.cli.output import emit
    from rm.server.run import make_server, run
    from rm.server.settings import ServerSettings
    from warehouse import open_warehouse
    from warehouse.errors import ConfigError

    token = os.environ.get(token_variable, "")
    if not token and not no_token and host not in ("127.0.0.1", "::1", "localhost"):
        raise ConfigError(
            f"{host} may be reached by others, and no token is set",
            hint=f"set {token_variable}, or --no-token in a network that you trust",
        )
    try:
        settings = ServerSettings.model_validate({"rank_key": references, "urls": urls, **parse_settings(set)})
    except ValidationError as error:
        raise ConfigError(f"no settings of a server: {error}", hint="see docs/serving.md") from error
    listening = bound(host, port)
    with open_warehouse(warehouse) as opened:
        server = make_server(opened, model, settings, token, device)
    address = f"http://{host}:{listening.getsockname()[1]}"
    about = {"url": address, "model_id": server.model.model_id, "kept_prompts": len(server.kept), "token": bool(token)}

    def ready() -> None:
        emit(about, json)
        sys.stdout.flush()

    run(server, listening, ready)

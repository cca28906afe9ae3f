"""Options that commands share."""

from __future__ import annotations

from typing import Annotated

import typer

WarehouseUrl = Annotated[str, typer.Option("--warehouse", envvar="REWARDDANCE_WAREHOUSE",
                                           help="Folder of the warehouse; made if absent.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, nothing else.")]
Unchanged = Annotated[bool, typer.Option("--fail-if-unchanged", help="Exit code 4 when there was nothing to do.")]
DEFAULT_WAREHOUSE = "warehouse-data"

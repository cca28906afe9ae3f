"""`rewarddance rm benchmark`: a public preference benchmark from local files, ours beside published figures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.options import DEFAULT_WAREHOUSE, Json, WarehouseUrl

_NAME = (
    "hpdv2, hpdv3, imagereward, pickapic, genai_bench_image, genai_bench_video, videogen_rewardbench, or a YAML file."
)


def benchmark(
    name: Annotated[str, typer.Argument(help=_NAME)],
    path: Annotated[Path, typer.Argument(help="The benchmark's file, or the folder of its files.")],
    model: Annotated[str, typer.Option(help="Model id of the warehouse, or a folder.")],
    instructions: Annotated[
        Path | None, typer.Option(help="Words of the questions (default: those for real models).")
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="Most pairs asked; 0 = all.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder of the page.")] = Path("runs/benchmarks"),
    warehouse: WarehouseUrl = DEFAULT_WAREHOUSE,
    json: Json = False,
) -> None:
    """A public benchmark from local files. Example: rewarddance rm benchmark hpdv2 data/hpdv2 --model MODEL"""
    from pipelines.cli.output import emit
    from pipelines.public_benchmarks import INSTRUCTIONS, judge, markdown, write

    found = judge(name, path, model, warehouse, instructions or INSTRUCTIONS, limit)
    page = write(found, out)
    if json:
        emit({**found, "page": str(page)}, True)
    else:
        print(markdown(found))
        print(f"Page: {page}")

"""Tables 2, 7 and 9 of RewardDance (arXiv 2509.08826) in miniature: does the paper's order hold on the simulation?

One row a claim: the arm that the paper puts higher against the one it puts lower, out of distribution, over three
seeds. The pages with intervals, seeds and the paper's own figures are written as results/reproduce_table_N.*.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks._reporting import RESULTS, Row, arguments, finish  # noqa: E402
from pipelines.reproduction.measure import Plan, data_config, measure  # noqa: E402
from pipelines.reproduction.page import document, html, markdown  # noqa: E402
from pipelines.reproduction.tables import find_table  # noqa: E402
from pipelines.run import run  # noqa: E402
from warehouse import open_warehouse  # noqa: E402

TABLES = (2, 7, 9)
MINUTES = 240.0


def _rows(found: dict[str, Any]) -> list[Row]:
    accuracy = {arm["name"]: arm["OOD"]["value"] for arm in found["arms"]}
    seeds = min(arm["seeds"] for arm in found["arms"])
    rows = []
    for claim in found["claims"]:
        better, worse = accuracy[claim["better"]], accuracy[claim["worse"]]
        name = f"table {found['table']}: {claim['better']} over {claim['worse']}, {found['steps']} steps, {seeds} seeds"
        rows.append(Row(name, better, worse, better / worse, "OOD accuracy", 1.0, claim["verdict"] == "holds"))
    return rows


def main() -> None:
    """Three seeds of every arm; `--quick` one seed, two steps, few prompts."""
    args = arguments(__doc__ or "")
    out = ROOT / "runs" / f"paper_tables{'_quick' if args.quick else ''}"
    if args.quick:
        shutil.rmtree(out, ignore_errors=True)
    made = run(data_config(prompts=24 if args.quick else 0), out)["dataset"]
    sizes = {"seeds": 1, "steps": 2, "pairs": 10} if args.quick else {}
    plan = Plan(made["name"], made["version"], out, MINUTES, **sizes)
    rows: list[Row] = []
    with open_warehouse(str(out / "warehouse")) as warehouse:
        for number in TABLES:
            table = find_table(number)
            found = document(table, measure(table, plan, warehouse, print), plan)
            rows += _rows(found)
            if not args.quick:
                pages = {"html": html(found), "md": markdown(found), "json": json.dumps(found, indent=1) + "\n"}
                for suffix, text in pages.items():
                    (RESULTS / f"reproduce_table_{number}.{suffix}").write_text(text, encoding="utf-8")
    finish("paper_tables", rows, args, "ok: the interval of the difference lies above zero, ID and OOD alike.\n")


if __name__ == "__main__":
    main()

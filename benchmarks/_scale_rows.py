"""A large warehouse, made by the database: pairs with their media, votes of raters of known accuracy, two consensus
runs, and datasets `whole` (one sample a pair) and `part` in two versions that differ in a few samples of a hundred."""

from __future__ import annotations

import re
from pathlib import Path

from warehouse import Warehouse
from warehouse.hashing import canonical_json
from warehouse.records import instruction_row

RATERS, SOURCE = 500, "benchmark"
_TEXT = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
_ROWS = dict(re.findall(r"^-- table: (\w+)\n(.*?);$", _TEXT, re.DOTALL | re.MULTILINE))
_TABLE = """
COPY (SELECT t.text AS prompt, p.candidate_a || '.png' AS first, p.candidate_b || '.png' AS second,
    CASE v.label WHEN 'a' THEN 'first' WHEN 'b' THEN 'second' ELSE 'tie' END AS label, v.annotator_id AS rater,
    v.dimension
FROM votes v JOIN pairs p USING (pair_id) JOIN prompts t USING (prompt_id)) TO '{path}' (FORMAT parquet)
"""


def _insert(warehouse: Warehouse, table: str, **facts: int | str) -> None:
    sql = _ROWS[table].format(**facts)
    names = ", ".join(warehouse.table(f"SELECT * FROM ({sql}) LIMIT 0").column_names)
    with warehouse.commit(f"benchmark {table}"):
        warehouse.rows(f"INSERT INTO {table} ({names}) {sql}")


def fill(warehouse: Warehouse, votes: int, pairs: int, part: int) -> None:
    """`votes` votes on `pairs` pairs; `whole` has a sample a pair, `part` two versions of `part` samples."""
    sizes: dict[str, int | str] = {"votes": votes, "pairs": pairs, "raters": RATERS, "source": SOURCE}
    for table in ("annotators", "prompts", "generators", "candidates", "media", "pairs", "votes"):
        _insert(warehouse, table, **sizes)
    read = canonical_json({"campaign_ids": [], "vote_sources": [SOURCE]})
    for run in (1, 2):
        _insert(warehouse, "preferences", **sizes, run=run)
        row = {"consensus_id": f"run{run}", "method": "majority", "params_json": read, "raters_json": "{}"}
        warehouse.merge("consensus_runs", [row])
    recipe = canonical_json({"consensus_ids": ["run1", "run2"]})
    warehouse.merge("recipes", [{"recipe_id": "r", "name": "large", "body_json": recipe}])
    template = "prompt {prompt} one {image_1} two {image_2} is two better ?"
    warehouse.merge("instructions", [instruction_row("t2i", "overall", 1, "pairwise", template)])
    versions = (("whole", 1, 1, 0, pairs), ("part", 1, 1, 0, part), ("part", 2, 2, part // 100, part + part // 100))
    for name, version, run, first, last in versions:
        _insert(warehouse, "samples", name=name, version=version, run=run, first=first, last=last)
        row = {"name": name, "version": version, "hash": f"{name}{version}", "state": "ready", "counts_json": "{}"}
        about = {"consensus_id": f"run{run}", "snapshot_id": warehouse.snapshot(), "card": "", "recipe_id": "r"}
        warehouse.merge("dataset_versions", [row | about])


def write_table(warehouse: Warehouse, path: Path) -> None:
    """The votes as the Parquet file that somebody would hand over: prompt, both pictures, label, rater."""
    warehouse.rows(_TABLE.format(path=path))

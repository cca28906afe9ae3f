"""A consensus over a million votes: processor seconds and memory of the whole stage, read to written, by method.

200 raters (one in ten answers by coin, all lean a little), three votes a pair, prompts with three candidates, one vote
in twelve a tie. Each method runs in a process of its own on one thread; memory is its resident peak, Python and
libraries (some 200 MB) included. Accuracy is the share of pairs whose truly better candidate is the likelier one;
majority is the peer. crowd-kit's Dawid-Skene gets a tenth of the votes, ours the same ones.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from annotation.ballots import Ballots, Floats, ballots_of  # noqa: E402
from annotation.consensus import ConsensusConfig  # noqa: E402
from annotation.consensus import run as merge  # noqa: E402
from annotation.dawid_skene import dawid_skene  # noqa: E402
from benchmarks._reporting import Row, arguments, finish, peak_bytes  # noqa: E402
from warehouse import open_warehouse  # noqa: E402
from warehouse.records import LABELS  # noqa: E402

METHODS = ("majority", "dawid_skene", "bradley_terry")
SECONDS_LIMIT, MEMORY_LIMIT_MB, RATERS, TIES = 300.0, 2000.0, 200, 0.08


def crowd(votes: int) -> tuple[pa.Table, Floats]:
    """Rows of votes with their pair's candidates, and the true lead of a on each pair [N]."""
    rng = np.random.default_rng(0)
    pairs = votes // 3
    prompt, turn = np.arange(pairs) // 3, np.arange(pairs) % 3
    sides = prompt * 3 + np.array([0, 0, 1])[turn], prompt * 3 + np.array([1, 2, 2])[turn]
    strength = rng.normal(0.0, 1.2, 3 * (pairs // 3 + 1))
    pair, left = np.repeat(np.arange(pairs), 3), rng.choice([-1, 1], 3 * pairs)
    rater = ((rng.integers(RATERS, size=(pairs, 1)) + np.array([0, 7, 31])) % RATERS).ravel()
    straight = np.where(np.arange(RATERS) < RATERS // 10, 0.5, rng.uniform(0.85, 1.0, RATERS))[rater]
    lead = strength[sides[0]] - strength[sides[1]]
    seen = lead[pair] * np.where(rng.random(3 * pairs) < straight, 1, -1) + rng.normal(0, 0.3, RATERS)[rater] * left
    said = np.where(rng.random(3 * pairs) < 1 / (1 + np.exp(-seen)), 0, 1)
    label = np.where(rng.random(3 * pairs) < TIES, 2, said)
    names = {"pair_id": np.char.mod("p%031d", np.arange(pairs))[pair], "annotator_id": np.char.mod("r%031d", rater),
             "candidate_a": np.char.mod("c%031d", sides[0])[pair], "candidate_b": np.char.mod("c%031d", sides[1])[pair]}
    table = pa.table({**names, "label": label, "left": left, "time_s": np.zeros(3 * pairs),
                      "seconds": np.full(3 * pairs, 5.0), "gold": np.zeros(3 * pairs, np.bool_)})
    return table.sort_by([("pair_id", "ascending"), ("annotator_id", "ascending")]), lead


def store(folder: str, table: pa.Table) -> None:
    """Pairs and votes into a fresh warehouse."""
    count = table.num_rows
    first = pa.array(np.unique(table["pair_id"].to_numpy(zero_copy_only=False), return_index=True)[1])
    votes = pa.table({
        "vote_id": np.char.mod("v%031d", np.arange(count)), "pair_id": table["pair_id"],
        "annotator_id": table["annotator_id"], "dimension": pa.array(["overall"] * count),
        "label": pa.array(LABELS).take(table["label"].combine_chunks()),
        "left_side": pa.array(["b", "", "a"]).take(pa.array(table["left"].to_numpy() + 1)), "seconds": table["seconds"],
        "source": pa.array(["bench"] * count), "deleted": pa.array([False] * count),
        "updated_at": pa.array([datetime(2026, 1, 1)] * count)})
    with open_warehouse(folder) as warehouse:
        warehouse.merge("pairs", table.select(["pair_id", "candidate_a", "candidate_b"]).take(first))
        warehouse.merge("votes", votes)


def measured(folder: str, method: str) -> dict[str, Any]:
    """CPU seconds, MB and the consensus of one method, in this process."""
    with open_warehouse(folder) as warehouse:
        warehouse.rows("SELECT count(*) FROM votes")
        began = time.process_time()
        receipt = merge(ConsensusConfig(vote_sources=("bench",), method=method, resamples=100), warehouse)
        seconds = time.process_time() - began
        peak = peak_bytes() / 2**20
        found = warehouse.rows("SELECT pair_id, p_a FROM preferences WHERE consensus_id = ? ORDER BY pair_id",
                               [receipt.outputs["consensus_id"]])
    return {"seconds": seconds, "mb": peak, "pair": [int(row["pair_id"][1:]) for row in found],
            "p_a": [row["p_a"] for row in found]}


def accuracy(p_a: Floats, lead: Floats) -> float:
    """An even chance counts half."""
    return float(((p_a - 0.5) * lead > 0).mean() + 0.5 * (p_a == 0.5).mean())


def against_crowdkit(table: pa.Table) -> tuple[float, float]:
    """CPU seconds of our Dawid-Skene and crowd-kit's, 20 rounds each, on the same votes."""
    import pandas as pd
    from crowdkit.aggregation import DawidSkene

    votes: Ballots = ballots_of(table)
    frame = pd.DataFrame({"task": votes.pair, "worker": votes.rater, "label": votes.label})
    began = time.process_time()
    DawidSkene(n_iter=20, tol=-1e9).fit(frame)
    between = time.process_time()
    shape = (len(votes.pairs), len(votes.raters), len(LABELS))
    dawid_skene(votes.pair, votes.rater, votes.label, shape, iterations=20, tolerance=-1.0)
    return time.process_time() - between, between - began


def main() -> None:
    """Three rows a method, one against crowd-kit."""
    if len(sys.argv) == 4 and sys.argv[1] == "--measure":
        print(json.dumps(measured(sys.argv[2], sys.argv[3])))
        return
    args = arguments(__doc__ or "")
    votes = 30_000 if args.quick else 1_000_000
    table, lead = crowd(votes)
    rows, right = [], {}
    with tempfile.TemporaryDirectory() as folder:
        store(folder, table)
        for method in METHODS:
            command = [sys.executable, __file__, "--measure", folder, method]
            limits = dict(os.environ, OMP_NUM_THREADS="1")
            found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, env=limits).stdout)
            # Raters who answer by coin are left out, and with them pairs that nobody else voted on.
            right[method] = accuracy(np.array(found["p_a"]), lead[found["pair"]])
            print(f"{method}: {found['seconds']:.1f} CPU s, {found['mb']:.0f} MB", file=sys.stderr, flush=True)
            size = f"{method}, {table.num_rows} votes"
            spent = (("CPU s", found["seconds"], SECONDS_LIMIT), ("MB", found["mb"], MEMORY_LIMIT_MB))
            for name, value, limit in spent:
                rows.append(Row(f"{name}, {size}", value, None, limit / value, name, 1.0, value <= limit))
            share = right[method] / right["majority"]
            rows.append(Row(f"accuracy, {size}", right[method], right["majority"], share, "accuracy", 1.0, share >= 1))
    ours, theirs = against_crowdkit(table.slice(0, votes // 10))
    name = f"Dawid-Skene against crowd-kit, {votes // 10} votes"
    rows.append(Row(name, ours, theirs, theirs / ours, "CPU s", 1.0, theirs >= ours))
    finish("consensus", rows, args, "Command: `python benchmarks/consensus.py`.\n")


if __name__ == "__main__":
    main()

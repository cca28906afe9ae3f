"""The warehouse against its peers, and its questions at ten million votes.

Shards: each way to write and read runs five times in a process of its own, ours and the peers' in turn; the median
counts, in samples a processor second, so that neighbours on the machine do not. Rows: the database makes ten million
votes on three million pairs, then each question is asked in a process of its own with its peak of memory. `--limit-s`
gives up on a question after that many seconds: the row then says that many, and fails.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks._peers import peers_python  # noqa: E402
from benchmarks._reporting import Row, finish  # noqa: E402
from benchmarks._scale_rows import fill, write_table  # noqa: E402
from warehouse import open_warehouse  # noqa: E402

RUNS = 5
_MEMORY = 8 * 2**30
# Question, seconds it may take.
QUESTIONS = {
    "import": ("`dataset import table` of one Parquet file", 90.0),
    "consensus": ("Dawid-Skene consensus", 60.0),
    "version": ("rows of a version, without media", 60.0),
    "agreement": ("agreement with bootstrap interval", 20.0),
    "diff": ("diff of two versions", 1.0),
    "lineage": ("lineage of one sample", 1.0),
}


def _ask(python: str, *arguments: str, limit_s: float | None = None) -> dict[str, Any]:
    done = subprocess.run([python, "-m", *arguments], cwd=ROOT, stdout=subprocess.PIPE, timeout=limit_s, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _versus(name: str, ours: Sequence[float], peer: Sequence[float], target: float) -> Row:
    mine, theirs = statistics.median(ours), statistics.median(peer)
    ratio = mine / theirs
    return Row(name, mine, theirs, ratio, "samples/CPU s", target, ratio >= target)


def _limit(name: str, ours: float, limit: float, unit: str) -> Row:
    return Row(name, ours, None, limit / ours, unit, 1.0, ours <= limit)


def shards(folder: Path, samples: int, million: int) -> list[Row]:
    """Writing, reading, what a trainer feels, and resuming."""
    peers, speeds = peers_python(), dict[str, list[float]]()
    ways = {"write_ours": sys.executable, "write_webdataset": sys.executable, "read_ours": sys.executable,
            "read_ours_checked": sys.executable, "read_webdataset": sys.executable, "read_litdata": peers}
    _ask(peers, "benchmarks._shards", "write_litdata", str(folder / "litdata"), str(samples))
    for _ in range(RUNS):
        for way, python in ways.items():
            # Both sides' readers read what their own writer wrote.
            place = folder / way.split("_")[1]
            if way.startswith("write"):
                shutil.rmtree(place, ignore_errors=True)
            said = _ask(python, "benchmarks._shards", way, str(place), str(samples))
            speeds.setdefault(way, []).append(said["per_cpu_s"])
    felt = _ask(sys.executable, "benchmarks._shards", "train", str(folder / "ours"), str(min(samples, 512)))
    resumed = [_ask(sys.executable, "benchmarks._shards", "resume", str(folder / "ours"), str(million))["wall_s"]
               for _ in range(RUNS) if not shutil.rmtree(folder / "ours-large", ignore_errors=True)]
    return [
        _versus(f"writing {samples} samples, against webdataset.ShardWriter(mtime=0)", speeds["write_ours"],
                speeds["write_webdataset"], 1.5),
        _versus(f"shuffled reading of {samples} samples, against webdataset", speeds["read_ours"],
                speeds["read_webdataset"], 3.0),
        _versus("the same, sha256 of every sample, against webdataset without", speeds["read_ours_checked"],
                speeds["read_webdataset"], 1.0),
        _versus(f"shuffled reading of {samples} samples, against litdata", speeds["read_ours"], speeds["read_litdata"],
                1.5),
        Row("samples with decoding and image processing", felt["per_cpu_s"], None, 1.0, "samples/CPU s", 1.0, True),
        _limit("share of reading in that time", felt["share"], 0.1, "share"),
        _limit(f"first batch after a resume at {million} samples", statistics.median(resumed), 1.0, "s"),
    ]


def _make(folder: Path, votes: int, pairs: int, part: int) -> str:
    """The rows, where they are not there yet; says how long that took."""
    if (folder / "votes.parquet").exists():
        return "the rows were there"
    began = time.perf_counter()
    with open_warehouse(str(folder / "large")) as warehouse:
        fill(warehouse, votes, pairs, part)
        write_table(warehouse, folder / "votes.parquet")
    return f"the rows were made in {time.perf_counter() - began:.0f} s"


def questions(
    folder: Path, size_of: tuple[int, int, int], limit_s: float, only: Sequence[str]
) -> tuple[list[Row], str]:
    """Seconds and peak memory of each question; what each found, as notes."""
    votes, pairs, part = size_of
    url, fresh, table = str(folder / "large"), str(folder / "fresh"), folder / "votes.parquet"
    notes, listed = [f"- {_make(folder, votes, pairs, part)}"], list[Row]()
    for name in only or QUESTIONS:
        title, seconds = QUESTIONS[name]
        shutil.rmtree(fresh, ignore_errors=True)
        size = f"{part} samples each" if name == "diff" else f"{votes} votes, {pairs} pairs"
        arguments = [name, fresh, str(table)] if name == "import" else [name, url]
        try:
            said = _ask(sys.executable, "benchmarks._scale", *arguments, limit_s=limit_s)
        except (subprocess.TimeoutExpired, subprocess.CalledProcessError) as error:
            ratio = min(0.99, seconds / limit_s)
            listed.append(Row(f"{title}, {size}: gave up", limit_s, None, ratio, "s", 1.0, False))
            notes.append(f"- {title}: gave up, {type(error).__name__}")
            continue
        listed.append(_limit(f"{title}, {size}", said["wall_s"], seconds, "s"))
        listed.append(_limit(f"{title}, peak memory", said["peak_bytes"] / 2**30, _MEMORY / 2**30, "GiB"))
        notes.append(f"- {title}: {said['cpu_s']:.1f} CPU s; {json.dumps(said['said'])[:300]}")
    return listed, "\n".join(notes)


def crowdkit(votes: int) -> list[Row]:
    """Dawid-Skene as published, against crowd-kit's, on the same votes and as many rounds."""
    import numpy as np
    import pandas as pd
    from crowdkit.aggregation import DawidSkene

    from annotation.dawid_skene import dawid_skene

    rng, pairs, raters = np.random.default_rng(0), votes // 4, 100
    truth, pair = rng.integers(2, size=pairs), np.repeat(np.arange(pairs), 4)
    rater = rng.integers(raters, size=len(pair))
    right = rng.random(len(pair)) < np.linspace(0.55, 0.95, raters)[rater]
    label = np.where(right, truth[pair], 1 - truth[pair])
    began = time.process_time()
    ours = dawid_skene(pair, rater, label, (pairs, raters, 2), iterations=20, tolerance=-1.0).posterior.argmax(axis=1)
    between = time.process_time()
    frame = pd.DataFrame({"task": pair, "worker": rater, "label": label})
    theirs = DawidSkene(n_iter=20, tol=-1e9).fit_predict(frame).sort_index().to_numpy()
    seconds, peer_s = between - began, time.process_time() - between
    mine, other = float((ours == truth).mean()), float((theirs == truth).mean())
    return [
        Row(f"Dawid-Skene of {votes} votes, against crowd-kit", seconds, peer_s, peer_s / seconds, "CPU s", 3.0,
            peer_s / seconds >= 3),
        Row("its accuracy", mine, other, mine / other, "share", 1.0, mine >= other),
    ]


def main() -> None:
    """Shards in memory, rows on disk."""
    parser = argparse.ArgumentParser(description="The warehouse against its peers, and at ten million votes.")
    parser.add_argument("--quick", action="store_true", help="smaller sizes, about a minute, no table")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--votes", type=int, default=10_000_000, help="how many votes the questions are asked of")
    parser.add_argument("--limit-s", type=float, default=600.0, help="give up on a question after this many seconds")
    parser.add_argument("--rows", type=Path, help="keep the large warehouse in this folder, and use it again")
    parser.add_argument("--only", default="", help="questions, with commas; writes the table warehouse_questions")
    args = parser.parse_args()
    memory = Path("/dev/shm") if Path("/dev/shm").is_dir() else None
    samples, million = (300, 20_000) if args.quick else (3_000, 1_000_000)
    votes = 20_000 if args.quick else args.votes
    pairs, part = 3 * votes // 10, votes // 10
    only = args.only.split(",") if args.only else []
    with tempfile.TemporaryDirectory() as folder:
        asked, notes = questions(args.rows or Path(folder), (votes, pairs, part), args.limit_s, only)
    if only:
        command = f"Command: `python benchmarks/warehouse.py --only {args.only}`."
        finish("warehouse_questions", asked, args, f"{notes}\n\n{command}\n")
        return
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        listed = shards(Path(folder), samples, million)
    listed += [*asked, *crowdkit(10_000 if args.quick else 100_000)]
    finish("warehouse", listed, args, f"{notes}\n\nCommand: `python benchmarks/warehouse.py`.\n")


if __name__ == "__main__":
    main()

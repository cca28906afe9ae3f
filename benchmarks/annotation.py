"""Annotation at size, against a real Label Studio: publishing, syncing, and fifty raters at once.

Published: so many tasks into an empty project, from `annotate publish`'s own function. Synced: so many answered tasks,
taken in by the command `rewarddance annotate sync` (its start included), and the same command at once again, where
nothing is new. The answers get onto the server by an import with annotations, before the clock starts. Raters: each
asks for a task, loads both media, thinks 1.5 to 4.5 s and answers, through the gateway; lost and doubled votes are
counted after a sync. Label Studio runs on PostgreSQL; with `--quick`, whose time does not hold PostgreSQL's migrations,
on SQLite. CPU seconds are those of the client and of Label Studio's process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from annotation.backend import Pulled  # noqa: E402
from annotation.label_studio import projects, state  # noqa: E402
from annotation.label_studio.backend import LabelStudio  # noqa: E402
from annotation.label_studio.client import StudioClient  # noqa: E402
from annotation.label_studio.publish import config_of, publish  # noqa: E402
from annotation.label_studio.up import Wishes, down, up  # noqa: E402
from benchmarks._raters import Shift, chosen, work  # noqa: E402
from benchmarks._reporting import Row, arguments, finish  # noqa: E402
from tests.warehouse.catalog.servers import make_database, postgres  # noqa: E402
from warehouse import open_warehouse  # noqa: E402
from warehouse.catalog import Warehouse  # noqa: E402
from warehouse.media.encode import encode_png  # noqa: E402
from warehouse.records import candidate_row, generator_row, pair_row, prompt_row  # noqa: E402

_VOTES = """
SELECT split_part(t.backend_ref, ':', 2) AS task FROM votes v JOIN annotation_tasks t USING (task_id)
WHERE v.source = 'campaign:crowd' AND NOT v.deleted
"""


# A small process between: a child's peak begins at the memory of the process that started it.
_USAGE = """
import json, resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024]), file=sys.stderr)
sys.exit(code)
"""


@dataclass(frozen=True)
class Sizes:
    """Tasks published and synced, and the shifts: so many raters at once, for so many seconds; the last one counts."""

    tasks: int
    shifts: tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class Cost:
    """Wall and CPU seconds (client, Label Studio), and the client's peak memory in MB where it was a process."""

    wall_s: float
    client_s: float
    server_s: float
    peak_mb: float = 0.0

    def __str__(self) -> str:
        return f"{self.wall_s:.1f} s, CPU {self.client_s:.1f} s client and {self.server_s:.1f} s Label Studio"


def fill(warehouse: Warehouse, name: str, pairs: int) -> None:
    """So many pairs of a source; all show the same two pictures."""
    generator = generator_row(f"bench {name}", "bench", "1")
    pixels = np.random.default_rng(0).integers(0, 255, (2, 256, 256, 3), dtype=np.uint8)
    media = [warehouse.media.put(encode_png(picture)).media_id for picture in pixels]
    prompts = [prompt_row(f"{name} prompt {index}", "t2i", "image", name) for index in range(pairs)]
    made = [candidate_row(prompt["prompt_id"], generator["generator_id"], media[seed], seed, {}, "t2i", name)
            for prompt in prompts for seed in (0, 1)]
    couples = [pair_row(made[at]["prompt_id"], made[at]["candidate_id"], made[at + 1]["candidate_id"], "t2i", "bench",
                        name) for at in range(0, len(made), 2)]
    with warehouse.commit():
        for table, rows in (("generators", [generator]), ("prompts", prompts), ("candidates", made),
                            ("pairs", couples)):
            warehouse.merge(table, rows)


def server_cpu_s(pid: int) -> float:
    """CPU seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def published(warehouse: Warehouse, name: str, pairs: int, votes: int, pid: int) -> Cost:
    """What it cost to publish a campaign of pairs that are there."""
    fill(warehouse, name, pairs)
    wall, client, server = time.monotonic(), time.process_time(), server_cpu_s(pid)
    publish(warehouse, config_of(name, {"source": name, "votes_per_pair": votes}))
    return Cost(time.monotonic() - wall, time.process_time() - client, server_cpu_s(pid) - server)


@contextmanager
def answered(rater: int) -> Iterator[None]:
    """While this holds, tasks are imported with an answer of a rater (a number of the server), and left to a sync."""
    plain, pull = projects.item, LabelStudio.pull

    def with_answer(ref: str, data: Any) -> dict[str, Any]:
        answer = ("left", "right", "tie", "both_bad")[int(ref[:2], 16) % 4]
        said = {"result": chosen(answer), "completed_by": rater, "lead_time": 3.0}
        return {**plain(ref, data), "annotations": [said]}

    projects.item, LabelStudio.pull = with_answer, lambda self, since: Pulled((), since)
    try:
        yield
    finally:
        projects.item, LabelStudio.pull = plain, pull


def synced(root: Path, name: str, pid: int) -> tuple[Cost, dict[str, Any]]:
    """What `rewarddance annotate sync` cost, and its answer."""
    command = [sys.executable, "-m", "pipelines.cli", "annotate", "sync", "--campaign", name, "--warehouse", str(root),
               "--json"]
    wall, server = time.monotonic(), server_cpu_s(pid)
    done = subprocess.run([sys.executable, "-c", _USAGE, *command], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"annotate sync failed: {done.stdout}")
    client, peak = json.loads(done.stderr.splitlines()[-1])
    return Cost(time.monotonic() - wall, client, server_cpu_s(pid) - server, peak), json.loads(done.stdout)


def limit(name: str, ours: float, most: float, unit: str) -> Row:
    """An absolute limit."""
    return Row(name, ours, None, most / ours if ours else 1.0, unit, 1.0, ours <= most)


def none(name: str, ours: int) -> Row:
    """A count that must be 0."""
    return Row(name, ours, None, float(ours == 0), "votes", 1.0, ours == 0)


def crowd(
    warehouse: Warehouse, root: Path, links: dict[str, str], sizes: Sizes, pid: int
) -> tuple[list[Shift], Counter[str]]:
    """The raters' shifts on more tasks than they can do, and how many votes each task has after a sync."""
    wanted = sum(round(raters * seconds / 3) for raters, seconds in sizes.shifts)
    published(warehouse, "crowd", max(len(links), wanted // 2), 2, pid)
    project, shifts = next(iter(LabelStudio(warehouse, "crowd").published())), []
    for raters, seconds in sizes.shifts:
        shifts.append(work(dict(list(links.items())[:raters]), project, seconds))
    synced(root, "crowd", pid)
    return shifts, Counter(row["task"] for row in warehouse.rows(_VOTES))


def table(shifts: list[Shift], sizes: Sizes) -> str:
    """How long raters waited, by their number."""
    lines = ["| raters | seconds | answers | a second | next, median | next, 95 % | submit, median | submit, 95 % | "
             "refused |", "|---|---|---|---|---|---|---|---|---|"]
    for shift, (raters, seconds) in zip(shifts, sizes.shifts, strict=True):
        waits = [f"{np.quantile(kept, share):.2f} s" for kept in (shift.next_s, shift.submit_s)
                 for share in (0.5, 0.95)]
        pace = len(shift.accepted) / shift.seconds
        lines.append(f"| {raters} | {seconds:.0f} | {len(shift.accepted)} | {pace:.1f} | {' | '.join(waits)} | "
                     f"{len(shift.refused)} {' '.join(shift.refused[:2])} |")
    return "\n".join(lines)


def measure(root: Path, links: dict[str, str], sizes: Sizes, database: str) -> tuple[list[Row], str]:
    """All rows, and the notes."""
    server = state.load(state.folder(root))
    assert server is not None
    with open_warehouse(str(root)) as warehouse:
        out = published(warehouse, "published", sizes.tasks, 1, server.pid)
        user = StudioClient(server.url, server.token).get("/api/current-user/whoami")["id"]
        with answered(user):
            published(warehouse, "answered", sizes.tasks, 1, server.pid)
        full, said = synced(root, "answered", server.pid)
        empty, nothing = synced(root, "answered", server.pid)
        if said["votes"] != sizes.tasks or nothing["changed"]:
            raise SystemExit(f"wrong votes: {said}, {nothing}")
        shifts, votes = crowd(warehouse, root, links, sizes, server.pid)
    raters, seconds = sizes.shifts[-1]
    who, everybody = f"{raters} raters, {seconds:.0f} s", f"all raters, Label Studio on {database}"
    rows = [
        limit(f"{sizes.tasks} tasks published", out.wall_s, 30.0, "s"),
        limit(f"{sizes.tasks} votes synced", full.wall_s, 60.0, "s"),
        limit(f"peak memory of that sync ({sizes.tasks} votes)", full.peak_mb, 300.0, "MB"),
        limit("empty sync, at once after it", empty.wall_s, 2.0, "s"),
        limit(f"next task, 95th percentile, {who}, Label Studio on {database}",
              float(np.quantile(shifts[-1].next_s, 0.95)), 1.0, "s"),
        none(f"votes lost, {everybody}", sum(len(shift.accepted) for shift in shifts) - votes.total()),
        none(f"votes doubled, {everybody}", sum(count - 1 for count in votes.values())),
    ]
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    notes = (f"Published: {out}. Synced: {full}. Empty sync: {empty}, {empty.peak_mb:.0f} MB.\n\n"
             f"{table(shifts, sizes)}\n\nLoad of the machine at the end (1, 5, 15 minutes): {load}.\n\n"
             "Command: `python benchmarks/annotation.py`.\n")
    return rows, notes


def main() -> None:
    """Start everything, measure, stop everything."""
    args = arguments(__doc__ or "")
    sizes = Sizes(500, ((8, 15.0),)) if args.quick else Sizes(10_000, ((10, 60.0), (25, 60.0), (50, 180.0)))
    names = [f"rater{number:02d}" for number in range(sizes.shifts[-1][0])]
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        root = Path(folder) / "warehouse"
        database = "" if args.quick else make_database(stack.enter_context(postgres()), "studio")
        stack.callback(down, str(root))
        links = up(str(root), Wishes(names, database), lambda question: True, print)["links"]
        rows, notes = measure(root, links, sizes, "PostgreSQL" if database else "SQLite")
    finish("annotation", rows, args, notes)


if __name__ == "__main__":
    main()

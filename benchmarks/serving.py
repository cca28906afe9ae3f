"""The reward model's server under load: 64 clients at once, each waiting for its answer before it asks again.

The server is `rewarddance rm serve` in a process of its own with the tiny model of the simulation; the clients share
one process. Every request holds one new candidate of 32 x 32 px as PNG against a kept reference, so that nothing is
cached but the reference. The peer of throughput is one client alone: what gathering questions of all clients gains.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks._reporting import Row, arguments, finish  # noqa: E402
from rm.instructions import read_instructions  # noqa: E402
from rm.model_folder import CARD_FILE, ModelCard  # noqa: E402
from warehouse.media.encode import encode_png  # noqa: E402

CLIENTS, PROMPTS, SIDE = 64, 16, 32
Request = tuple[float, int, int]


def picture(rng: np.random.Generator) -> str:
    """A new picture in base64."""
    return base64.b64encode(encode_png(rng.integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8))).decode()


def model_folder(target: Path) -> Path:
    """The simulation's model with the instructions that it is asked."""
    import shutil

    shutil.copytree(ROOT / "simulation" / "weights" / "vlm_middle", target)
    rows = read_instructions(ROOT / "configs" / "instructions" / "simulation.yaml")
    asked: dict[str, dict[str, str]] = {}
    for row in rows:
        asked.setdefault(row["task"], {})[row["dimension"]] = row["template"]
    (target / CARD_FILE).write_text(ModelCard(model_id="bench", instructions=asked).model_dump_json())
    return target


@contextmanager
def server(folder: Path) -> Iterator[tuple[str, int]]:
    """Host and port of a running server."""
    command = [sys.executable, "-m", "pipelines.cli", "rm", "serve", str(model_folder(folder / "model")), "--port", "0",
               "--warehouse", str(folder / "warehouse"), "--json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert running.stdout
        address = json.loads(running.stdout.readline())["url"]
        yield address.removeprefix("http://").partition(":")[0], int(address.rpartition(":")[2])
    finally:
        running.terminate()
        running.wait(20)


def post(connection: HTTPConnection, path: str, body: Any) -> tuple[int, Any]:
    """Status and JSON."""
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def one_client(place: tuple[str, int], seed: int, requests: int, gate: threading.Barrier) -> list[Request]:
    """(seconds, status, scores received) of each request, one after the other on one connection."""
    rng, connection, found = np.random.default_rng(seed), HTTPConnection(*place, timeout=120), []
    bodies = [{"items": [{"prompt": f"{n % PROMPTS} red circle", "candidate": {"base64": picture(rng)}}]}
              for n in range(seed, seed + requests)]
    gate.wait()
    for body in bodies:
        clock = time.perf_counter()
        status, answer = post(connection, "/score", body)
        scores = sum("score" in each for each in answer.get("results", ()))
        found.append((time.perf_counter() - clock, status, scores))
    return found


def load(place: tuple[str, int], clients: int, requests: int) -> tuple[list[Request], float]:
    """All requests of so many clients at once, and the seconds from the first to the last answer."""
    gate = threading.Barrier(clients + 1)
    with ThreadPoolExecutor(clients) as pool:
        jobs = [pool.submit(one_client, place, seed, requests, gate) for seed in range(clients)]
        gate.wait()
        clock = time.perf_counter()
        found = [request for job in jobs for request in job.result()]
    return found, time.perf_counter() - clock


def keep(place: tuple[str, int]) -> None:
    """One reference a prompt."""
    rng = np.random.default_rng(10_000)
    items = [{"prompt": f"{n} red circle", "references": [{"base64": picture(rng)}]} for n in range(PROMPTS)]
    status, answer = post(HTTPConnection(*place, timeout=60), "/references", {"items": items})
    assert status == 200 and all(each.get("references") == 1 for each in answer["results"]), answer


def main() -> None:
    """Errors, the 99th percentile, and items a second of 64 clients against one."""
    args = arguments(__doc__ or "")
    each = 5 if args.quick else 40
    with tempfile.TemporaryDirectory() as folder, server(Path(folder)) as place:
        keep(place)
        load(place, 4, 3)
        alone, alone_s = load(place, 1, 4 * each)
        found, seconds = load(place, CLIENTS, each)
    wrong = sum(status != 200 or scores != 1 for _, status, scores in found)
    p50, p99 = (float(np.percentile([request[0] for request in found], q)) for q in (50, 99))
    rate, alone_rate = len(found) / seconds, len(alone) / alone_s
    size = f"{CLIENTS} clients x {each}"
    rows = [Row(f"requests without a score, {size}", float(wrong), None, 1.0 if not wrong else 0.0, "requests", 1.0,
                not wrong),
            Row(f"p99, {size}", p99, None, 2.0 / p99, "s, at most 2", 1.0, p99 <= 2.0),
            Row(f"throughput, {size} against 1 client", rate, alone_rate, rate / alone_rate, "items/s", 1.5,
                rate / alone_rate >= 1.5)]
    notes = f"Median {p50:.3f} s at {CLIENTS} clients.\n\nCommand: `python benchmarks/serving.py`.\n"
    finish("serving", rows, args, notes)


if __name__ == "__main__":
    main()

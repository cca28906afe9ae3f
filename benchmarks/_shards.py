"""`python -m benchmarks._shards PART FOLDER SAMPLES`: one way to write or read shards, in a process of its own.

Prints {per_cpu_s, per_wall_s}: samples a second. A sample is two JPEGs of about 39 KB, three texts and a JSON, as a
dataset version has them; what is written or read lies in memory (/dev/shm), so
that no disk is measured. Writers write one sample before the clock starts, since the first one loads libraries.
"""

from __future__ import annotations

import io
import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from warehouse.hashing import canonical_json, content_id
from warehouse.shards.writer import Record, SplitWriter, pack

SHARD_BYTES = 64 * 2**20
_TEXTS = {
    "prompt.txt": b"a red ball on grass",
    "instruction.txt": b"{prompt} {image_1} {image_2} is image 2 better?",
    "rationale.txt": b"",
}
_PICTURES = 64


def _jpeg(seed: int) -> bytes:
    """A smooth picture with some noise, 512 x 384 px."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 255, (24, 32, 3)).astype(np.uint8))
    pixels = np.asarray(coarse.resize((512, 384), Image.Resampling.BICUBIC), np.int16)
    noisy = np.clip(pixels + rng.normal(0, 6, pixels.shape), 0, 255).astype(np.uint8)
    target = io.BytesIO()
    Image.fromarray(noisy).save(target, "JPEG", quality=75)
    return target.getvalue()


def records(samples: int) -> list[Record]:
    """Samples as the build makes them; pictures repeat, keys do not."""
    pictures, found = [_jpeg(seed) for seed in range(_PICTURES)], []
    for number in range(samples):
        key = content_id("benchmark", number)
        a, b = number % _PICTURES, (number + 1) % _PICTURES
        facts = {"key": key, "p_a": number % 5 / 4, "schema": 1, "media_a": f"{a:064d}", "media_b": f"{b:064d}",
                 "task": "t2i", "dimension": "overall", "rationale_verdict": "", "prompt_id": key,
                 "p_tie": 0.0, "n_votes": 3, "n_both_bad": 0}
        media = [("a.jpg", pictures[a]), ("b.jpg", pictures[b])]
        members = [*media, *_TEXTS.items(), ("json", canonical_json(facts).encode())]
        found.append(Record(key, "t2i", "overall", "image", members))
    return found


@contextmanager
def _clock(said: dict[str, float], samples: int) -> Iterator[None]:
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    said["per_wall_s"] = samples / (time.perf_counter() - wall)
    said["per_cpu_s"] = samples / (time.process_time() - cpu)


def write_ours(folder: Path, samples: int, said: dict[str, float]) -> None:
    """Shards with a sha256 a sample and a shard, and their index."""
    made = records(samples)
    _write_ours(folder / "warm", made[:1])
    with _clock(said, samples):
        _write_ours(folder, made)
    shutil.rmtree(folder / "warm")


def _write_ours(folder: Path, made: Sequence[Record]) -> None:
    writer = SplitWriter(folder, SHARD_BYTES)
    for record in made:
        writer.add(pack(record))
    writer.close()


def write_webdataset(folder: Path, samples: int, said: dict[str, float]) -> None:
    """ShardWriter with fixed times, the setting in which it writes the same bytes twice."""
    made = [{"__key__": record.key, **dict(record.members)} for record in records(samples)]
    (folder / "warm").mkdir()
    _write_webdataset(folder / "warm", made[:1])
    with _clock(said, samples):
        _write_webdataset(folder, made)
    shutil.rmtree(folder / "warm")


def _write_webdataset(folder: Path, made: Sequence[dict[str, Any]]) -> None:
    import webdataset

    target = str(folder / "shard-%06d.tar")
    with webdataset.ShardWriter(target, maxsize=SHARD_BYTES, mtime=0, user="u", group="g", verbose=0) as writer:
        for sample in made:
            writer.write(sample)


def read_ours(folder: Path, samples: int, said: dict[str, float]) -> None:
    """Global shuffle over the index; another 64th of the samples is checked in every epoch."""
    from warehouse.shards.reader import ShardDataset

    dataset = ShardDataset(folder, seed=1, check="sampled")
    _read_all(dataset, samples, said)


def read_ours_checked(folder: Path, samples: int, said: dict[str, float]) -> None:
    """The same with the sha256 of every sample."""
    from warehouse.shards.reader import ShardDataset

    _read_all(ShardDataset(folder, seed=1, check="full"), samples, said)


def _read_all(dataset: Any, samples: int, said: dict[str, float]) -> None:
    order = dataset.plan(0, 1).tolist()
    with _clock(said, samples):
        met = sum(len(dataset[index].a) > 0 for index in order)
    assert met == samples


def read_webdataset(folder: Path, samples: int, said: dict[str, float]) -> None:
    """Shards shuffled, then a buffer of 500."""
    import webdataset

    urls = [str(path) for path in sorted(folder.glob("*.tar"))]
    with _clock(said, samples):
        met = sum(1 for _ in webdataset.WebDataset(urls, shardshuffle=100, seed=1).shuffle(500))
    assert met == samples, (met, samples)


def write_litdata(folder: Path, samples: int, said: dict[str, float]) -> None:
    """litdata's own format, by its cache writer."""
    from litdata.streaming.writer import BinaryWriter

    writer = BinaryWriter(str(folder), chunk_bytes=SHARD_BYTES)
    with _clock(said, samples):
        for number, record in enumerate(records(samples)):
            writer[number] = {"__key__": record.key, **dict(record.members)}
        writer.done()
        writer.merge()


def read_litdata(folder: Path, samples: int, said: dict[str, float]) -> None:
    """StreamingDataset, shuffled."""
    import litdata

    dataset = litdata.StreamingDataset(str(folder), shuffle=True, seed=1)
    with _clock(said, samples):
        met = sum(1 for _ in dataset)
    assert met == samples, (met, samples)


def resume(folder: Path, samples: int, said: dict[str, float]) -> None:
    """Seconds from nothing to the first batch of 16 in the middle of an epoch; the index lists samples many times."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from warehouse.shards.reader import ShardDataset
    from warehouse.shards.writer import INDEX, write_index

    index = pq.read_table(folder / INDEX)
    large = folder.with_name(f"{folder.name}-large")
    large.mkdir()
    times = -(-samples // len(index))
    write_index(pa.concat_tables([index] * times).slice(0, samples), large / INDEX)
    for shard in folder.glob("*.tar"):
        (large / shard.name).symlink_to(shard)
    before = ShardDataset(large, seed=1)
    before.set_epoch(3)
    before.advance(samples // 2)
    state = before.state_dict()
    wall, cpu = time.perf_counter(), time.process_time()
    dataset = ShardDataset(large, seed=1)
    dataset.load_state_dict(state)
    met = dataset.__getitems__(dataset.plan(0, 1)[:16].tolist())
    said["wall_s"], said["cpu_s"] = time.perf_counter() - wall, time.process_time() - cpu
    assert len(met) == 16


def train(folder: Path, samples: int, said: dict[str, float]) -> None:
    """What a trainer feels: reading, decoding, and the reward model's own image processing; `share` is reading's."""
    from rm.examples import Asking
    from rm.families import load_family
    from rm.loader import Collate, FrameCache
    from warehouse.shards.reader import ShardDataset

    weights = Path(__file__).resolve().parent.parent / "simulation" / "weights" / "vlm_middle"
    collate, asking = Collate(load_family(weights)), Asking()
    dataset, decode = ShardDataset(folder, seed=1, check="sampled"), FrameCache(1, limit_bytes=1)
    order, reading, place = dataset.plan(0, 1).tolist()[:samples], 0.0, 0
    cpu = time.process_time()
    while place < len(order):
        began = time.process_time()
        met = dataset.__getitems__(order[place : place + 16])
        reading += time.process_time() - began
        collate([asking.examples(sample, decode) for sample in met])
        place += 16
    total = time.process_time() - cpu
    said["per_cpu_s"], said["share"] = len(order) / total, reading / total


PARTS: dict[str, Callable[[Path, int, dict[str, float]], None]] = {
    function.__name__: function
    for function in (write_ours, write_webdataset, write_litdata, read_ours, read_ours_checked, read_webdataset,
                     read_litdata, resume, train)
}


def main(part: str, folder: str, samples: str) -> None:
    """One part; the folder is made where it is missing."""
    said: dict[str, float] = {}
    Path(folder).mkdir(parents=True, exist_ok=True)
    PARTS[part](Path(folder), int(samples), said)
    print(json.dumps(said))


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Worked examples in the context: pairs with their verdict, shown before the question (in-context learning).

They are clear-cut pairs of the train split, half of them with "yes". Training draws some for each sample from a pool,
never of the sample's own prompt; scoring shows the first ones of the pool, always the same, so that all candidates
share them. They lie in the model's folder as shots.json, media bytes in base64.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rm.context import Frames, Part, Text, fill
from warehouse.hashing import content_id, sha256_hex
from warehouse.shards import Sample, ShardDataset

SHOTS_FILE = "shots.json"
POOL = 16
CLEAR = 0.3
_SEARCHED = 2000
_ANSWERED = " answer : {verdict} . "
DecodeShot = Callable[[str, bytes], Frames]


@dataclass(frozen=True, eq=False)
class Shot:
    """One worked example: `yes` says that image 2 beats image 1."""

    task: str
    dimension: str
    prompt: str
    prompt_id: str
    image_1: bytes
    image_2: bytes
    yes: bool

    def parts(self, template: str, decode: DecodeShot) -> tuple[Part, ...]:
        """The question in the words of `template`, and its answer."""
        first, second = (decode(f"sha256:{sha256_hex(data)}", data) for data in (self.image_1, self.image_2))
        answered = Text(_ANSWERED.format(verdict="yes" if self.yes else "no"))
        return (*fill(template, self.prompt, first, second), answered)


@dataclass(frozen=True, eq=False)
class Shots:
    """`count` worked examples a question, of a pool per (task, dimension); `decode` turns their bytes into frames."""

    count: int = 0
    pool: Mapping[tuple[str, str], Sequence[Shot]] = field(default_factory=dict)
    decode: DecodeShot | None = None

    def parts(self, task: str, dimension: str, template: str, key: str = "", prompt_id: str = "") -> tuple[Part, ...]:
        """What stands before the question: another choice for each sample `key`, the first ones without."""
        if not self.count or self.decode is None:
            return ()
        others = [shot for shot in self.pool.get((task, dimension), ()) if shot.prompt_id != prompt_id or not key]
        if key:
            others.sort(key=lambda shot: content_id("shot for", key, shot.prompt_id, shot.yes))
        return tuple(part for shot in others[:self.count] for part in shot.parts(template, self.decode))

    def dump(self) -> str:
        """The text of shots.json."""
        return json.dumps({"count": self.count, "pool": [
            {**{name: getattr(shot, name) for name in ("task", "dimension", "prompt", "prompt_id", "yes")},
             **{name: base64.b64encode(getattr(shot, name)).decode() for name in ("image_1", "image_2")}}
            for shots in self.pool.values() for shot in shots]}) + "\n"


NO_SHOTS = Shots()


def choose_shots(parts: Sequence[ShardDataset], count: int, decode: DecodeShot) -> Shots:
    """A pool from the first samples of each part that are clear-cut and show no condition; NO_SHOTS for count 0."""
    if not count:
        return NO_SHOTS
    pool: dict[tuple[str, str], list[Shot]] = {}
    for dataset in parts:
        for index in range(min(len(dataset), _SEARCHED)):
            sample = dataset[index]
            chosen = pool.setdefault((str(sample.facts["task"]), str(sample.facts["dimension"])), [])
            clear = abs(float(sample.facts["p_a"]) - 0.5) >= CLEAR and sample.condition is None
            if clear and len(chosen) < POOL and sample.facts["prompt_id"] not in {shot.prompt_id for shot in chosen}:
                chosen.append(_shot(sample, yes=len(chosen) % 2 == 0))
    return Shots(count, pool, decode)


def _shot(sample: Sample, yes: bool) -> Shot:
    winner, loser = (sample.a, sample.b) if float(sample.facts["p_a"]) > 0.5 else (sample.b, sample.a)
    first, second = (loser, winner) if yes else (winner, loser)
    task, dimension, prompt_id = (str(sample.facts[name]) for name in ("task", "dimension", "prompt_id"))
    return Shot(task, dimension, sample.prompt, prompt_id, first, second, yes)


def load_shots(folder: Path, decode: DecodeShot) -> Shots:
    """Those that lie in a model's folder; NO_SHOTS where there are none."""
    if not (folder / SHOTS_FILE).is_file():
        return NO_SHOTS
    found = json.loads((folder / SHOTS_FILE).read_text(encoding="utf-8"))
    pool: dict[tuple[str, str], list[Shot]] = {}
    for each in found["pool"]:
        media = {name: base64.b64decode(each[name]) for name in ("image_1", "image_2")}
        pool.setdefault((each["task"], each["dimension"]), []).append(Shot(**(each | media)))
    return Shots(int(found["count"]), pool, decode)

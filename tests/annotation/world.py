"""Pairs to vote on, raters who answer as told, and vote rows, for the tests of this room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from annotation.backend import Pulled, ShownVote, Task
from warehouse import Warehouse
from warehouse.records import Row, candidate_row, generator_row, pair_row, prompt_row

START = datetime(2026, 2, 1)


def candidates(warehouse: Warehouse, prompts: int, each: int, media: Mapping[int, str | None] | None = None) -> str:
    """Prompts with candidates of one generator; `media` replaces the media id of a candidate number. Its id."""
    generator = generator_row("secret-model-x", "test", "1")
    texts = [prompt_row(f"a thing number {index}", "t2i", "image", "list") for index in range(prompts)]
    made = [
        candidate_row(
            text["prompt_id"],
            generator["generator_id"],
            (media or {}).get(number := index * each + seed, f"media{number:04d}"),
            seed,
            {},
            "t2i",
            "generated",
        )
        for index, text in enumerate(texts)
        for seed in range(each)
    ]
    with warehouse.commit():
        for table, rows in (("generators", [generator]), ("prompts", texts), ("candidates", made)):
            warehouse.merge(table, rows)
    return str(generator["generator_id"])


class Scripted:
    """A back end whose first rater takes every first replica and says `left`, the second `right`, and so on.

    `extra` votes are given as they are, besides; `mute` raters say nothing.
    """

    rater_kind = "scripted"

    def __init__(self, warehouse: Warehouse, extra: Sequence[Mapping[str, Any]] = (), mute: Sequence[int] = ()) -> None:
        self.extra, self.mute, self.tasks = extra, mute, list[Task]()

    def publish(self, tasks: Sequence[Task]) -> list[str]:
        self.tasks += tasks
        return [f"ref-{task.task_id}" for task in tasks]

    def pull(self, since: str) -> Pulled:
        votes = [self._vote(task, name) for task in self.tasks for name in task.dimensions
                 if task.replica not in self.mute]
        return Pulled((*votes, *(self._extra(item) for item in self.extra)), f"{len(votes)} after {since!r}")

    def _vote(self, task: Task, dimension: str) -> ShownVote:
        return ShownVote(task.task_id, task.pair_id, dimension, f"rater {task.replica}",
                         ("left", "right", "tie", "both_bad")[task.replica % 4], START, START, 3.0,
                         "warmer" if task.wants_rationale else "")

    def _extra(self, item: Mapping[str, Any]) -> ShownVote:
        """A vote on the task number `task`, with whatever the item overrides."""
        given = {name: value for name, value in item.items() if name not in ("task", "minutes")}
        task = self.tasks[item.get("task", 0)]
        base: dict[str, Any] = {"task_id": task.task_id, "pair_id": task.pair_id, "dimension": task.dimensions[0],
                                "rater": "extra", "label": "left", "created_at": START,
                                "updated_at": START + timedelta(minutes=item.get("minutes", 0))}
        return ShownVote(**(base | given))


def vote(pair: str, rater: str, label: str, candidates: tuple[str, str] = ("", ""), **more: Any) -> Row:
    """A row as the consensus reads it; candidates default to two of the pair's own."""
    a, b = candidates if candidates[0] else (f"{pair}-a", f"{pair}-b")
    return {"vote_id": f"{pair}-{rater}", "pair_id": pair, "annotator_id": rater, "dimension": "overall",
            "label": label, "left_side": "a", "updated_at": START, "seconds": 5.0, "gold": False,
            "candidate_a": a, "candidate_b": b} | more


def crowd(rng: np.random.Generator, pairs: int, skills: Sequence[float], each: int = 3, ties: float = 0.1) -> list[Row]:
    """Votes on pairs whose first half prefers a: rater k is right with chance skills[k], or says tie."""
    rows = []
    for index in range(pairs):
        truth = "a" if index < pairs // 2 else "b"
        for k in rng.choice(len(skills), size=each, replace=False):
            right = rng.random() < skills[k]
            label = "tie" if rng.random() < ties else truth if right else "ab".replace(truth, "")
            side = "ab"[int(rng.integers(2))]
            rows.append(vote(f"p{index:05d}", f"r{k:02d}", label, left_side=side))
    return rows


def turned(rows: Sequence[Row]) -> list[Row]:
    """The same votes with candidates a and b of every pair exchanged."""
    other = {"a": "b", "b": "a", "tie": "tie", "both_bad": "both_bad"}
    return [row | {"label": other[row["label"]], "left_side": other[row["left_side"]],
                   "candidate_a": row["candidate_b"], "candidate_b": row["candidate_a"]} for row in rows]


def store_votes(warehouse: Warehouse, rows: Sequence[Row], source: str = "imported") -> dict[str, Row]:
    """Pairs and votes of `rows` into the tables, as an importer would; the pair row by the name given in `rows`."""
    pairs = {row["pair_id"]: pair_row("prompt", row["candidate_a"], row["candidate_b"], "t2i", "imported", source)
             for row in rows}
    votes = []
    for row in rows:
        pair = pairs[row["pair_id"]]
        same = pair["candidate_a"] == row["candidate_a"]
        label = row["label"] if same or row["label"] not in "ab" else "ab".replace(row["label"], "")
        votes.append({name: row[name] for name in ("vote_id", "annotator_id", "dimension", "left_side", "seconds",
                                                   "updated_at")}
                     | {"pair_id": pair["pair_id"], "label": label, "source": source, "deleted": False,
                        "created_at": row["updated_at"]})
    warehouse.merge("pairs", pairs.values())
    warehouse.merge("votes", votes)
    return pairs



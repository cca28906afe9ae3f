"""Stage `rationales`: reasons in words, written by a model that is told the verdict, kept only where they carry it.

Two passes (PARROT's, Preference AwaRe RationalizatiOn Through filtering): the writer sees both candidates and which one
people preferred, and says why; then, without the label and with the sides exchanged, it must tell from the pair and the
reason which one that was. A reason that speaks of places, or of nothing, does not survive that and is a reject
(`unpredictable`), as are answers that are none (`bad_json`, `refused`, `empty`). What is kept is a row of rationales
with its author, the author's revision and both passes in `checks_json`; the label itself stays people's.

Candidates that a writer failed to answer about (busy, timed out) are asked again by the same command; everything
accepted before stays. Left out on purpose: any particular writer (rationale_chat.py speaks HTTP, rm/ has a local one),
and rationales that raters type (votes.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from warehouse import Warehouse
from warehouse.errors import BackendError, ConfigError, InvalidInputError
from warehouse.hashing import canonical_json, content_id
from warehouse.media.decode import decode_frames
from warehouse.plugins import load_plugin
from warehouse.records import Row, rationale_row
from warehouse.stage import Receipt, Recorder, StageConfig, run_stage

FIRST, SECOND = "first", "second"
_TURNED = {FIRST: SECOND, SECOND: FIRST}
_CHUNK = 32
_LONGEST_CHARACTERS = 1200


class UnusableAnswerError(InvalidInputError):
    """A writer answered, and not with a rationale or a verdict; `reason` names the reject."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, eq=False)
class Clip:
    """Frames uint8 [T, H, W, 3] and their times in seconds; a picture has T = 1."""

    pixels: NDArray[np.uint8]
    times_s: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class ShownPair:
    """What a writer sees: never a label, an id or a generator's name."""

    prompt: str
    criteria: str
    first: Clip
    second: Clip

    def turned(self) -> ShownPair:
        """The same pair with the sides exchanged."""
        return ShownPair(self.prompt, self.criteria, self.second, self.first)


class RationaleWriter(Protocol):
    """A model that gives reasons; safe to call from `parallel` threads at once."""

    parallel: int

    @property
    def author_id(self) -> str:
        """Name of the model."""
        ...

    @property
    def revision(self) -> str:
        """Of the model and of the words it is asked with."""
        ...

    def write(self, pair: ShownPair, better: str) -> str:
        """Why `better` (first, second) is; raises UnusableAnswerError, BackendError."""
        ...

    def predict(self, pair: ShownPair, rationale: str) -> str:
        """first or second: which one the rationale was written for; raises UnusableAnswerError, BackendError."""
        ...


class RationaleConfig(StageConfig):
    """A consensus, the plug-in that writes (`module:Class`) and its options.

    Only pairs whose consensus leads by `min_lead` (|p_a - 1/2|) and that are no split population; `limit` pairs by
    hash, 0 = all. Clips are shown as at most `max_frames` frames.
    """

    consensus_id: str
    writer: str = "annotation.rationale_chat:ChatWriter"
    options: dict[str, Any] = Field(default_factory=dict)
    dimensions: tuple[str, ...] = ()
    min_lead: float = Field(default=0.2, gt=0.0, le=0.5)
    limit: int = Field(default=0, ge=0)
    max_frames: int = Field(default=4, ge=1)


_ASKED = """
SELECT f.preference_id, f.pair_id, f.dimension, f.p_a, p.text AS prompt, a.media_id AS media_a, b.media_id AS media_b,
  coalesce(d.criteria, '') AS criteria
FROM preferences f JOIN pairs r USING (pair_id) JOIN prompts p ON p.prompt_id = r.prompt_id
JOIN candidates a ON a.candidate_id = r.candidate_a JOIN candidates b ON b.candidate_id = r.candidate_b
LEFT JOIN (SELECT task, dimension, arg_max(criteria, version) AS criteria FROM dimensions GROUP BY ALL) d
  ON d.task = r.task AND d.dimension = f.dimension
WHERE f.consensus_id = ? AND abs(f.p_a - 0.5) >= ? AND NOT coalesce(f.split_population, false)
  AND (len(?) = 0 OR list_contains(?, f.dimension)) AND a.media_id IS NOT NULL AND b.media_id IS NOT NULL
  AND r.prompt_b_id IS NULL
ORDER BY md5(f.pair_id || f.dimension), f.preference_id LIMIT ?
"""
_THERE = """
SELECT pair_id, dimension FROM rationales WHERE author_kind = 'model' AND author_id = ? AND model_revision = ?
"""


@dataclass(frozen=True)
class Outcome:
    """Of one pair: an accepted row, a reject's reason and detail, or no answer (`absent` says why)."""

    row: Row | None = None
    reason: str = ""
    detail: str = ""
    absent: str = ""


def explain(writer: RationaleWriter, pair: ShownPair, better: str) -> tuple[str, dict[str, str]]:
    """An accepted rationale and the record of both passes; raises UnusableAnswerError, BackendError."""
    text = " ".join(writer.write(pair, better).split())
    if not text:
        raise UnusableAnswerError("an empty rationale", "empty")
    if len(text) > _LONGEST_CHARACTERS:
        raise UnusableAnswerError(f"a rationale of {len(text)} characters", "too_long")
    predicted = _TURNED[writer.predict(pair.turned(), text)]
    if predicted != better:
        raise UnusableAnswerError(f"written for {better}, told back as {predicted}: {text}", "unpredictable")
    return text, {"told": better, "predicted": predicted, "shown": "sides exchanged"}


def _outcome(warehouse: Warehouse, config: RationaleConfig, writer: RationaleWriter, row: Row) -> Outcome:
    verdict = "a" if row["p_a"] > 0.5 else "b"
    # Which candidate comes first is a hash, so that neither place stands for the better one.
    a_first = int(content_id("rationale side", row["pair_id"], row["dimension"])[0], 16) % 2 == 0
    clips = [_clip(warehouse, row[name], config.max_frames) for name in ("media_a", "media_b")]
    first, second = clips if a_first else reversed(clips)
    better = FIRST if (verdict == "a") == a_first else SECOND
    try:
        text, checks = explain(writer, ShownPair(row["prompt"], row["criteria"], first, second), better)
    except UnusableAnswerError as error:
        return Outcome(reason=error.reason, detail=error.message)
    except BackendError as error:
        return Outcome(absent=str(error))
    made = rationale_row(row["pair_id"], row["dimension"], verdict, text, "model", writer.author_id, writer.revision,
                         verified=True)
    checks |= {"consensus_id": config.consensus_id, "a_was": FIRST if a_first else SECOND}
    return Outcome(made | {"checks_json": canonical_json(checks)})


def _clip(warehouse: Warehouse, media_id: str, max_frames: int) -> Clip:
    pixels, times_s = decode_frames(warehouse.media.get(media_id), max_frames)
    return Clip(pixels, tuple(times_s))


def _writer(config: RationaleConfig) -> RationaleWriter:
    try:
        made: RationaleWriter = load_plugin(config.writer)(**config.options)
    except TypeError as error:
        raise ConfigError(f"{config.writer} does not take these options: {error}") from error
    return made


def _keep(warehouse: Warehouse, recorder: Recorder, asked: Sequence[Row], outcomes: Sequence[Outcome],
          author: str) -> None:
    accepted = [outcome.row for outcome in outcomes if outcome.row is not None]
    recorder.count("accepted", warehouse.merge("rationales", accepted, run_id=recorder.run_id))
    for row, outcome in zip(asked, outcomes, strict=True):
        if outcome.reason:
            location = f"{row['pair_id']}:{row['dimension']}"
            recorder.reject(source=author, location=location, reason=outcome.reason, detail=outcome.detail)


def _inputs(rows: Sequence[Row], writer: RationaleWriter) -> dict[str, str]:
    told = canonical_json([[row["preference_id"], row["p_a"], row["media_a"], row["media_b"], row["criteria"]]
                           for row in rows])
    return {"preferences": content_id("preferences", told), "writer": content_id(writer.author_id, writer.revision)}


def run(config: RationaleConfig, warehouse: Warehouse) -> Receipt:
    """Write and check; counts read, already_there, accepted. Raises ConfigError for nothing to explain or a refused
    key, BackendError where some pairs got no answer (the others are kept)."""
    limit = config.limit or 2**62
    wanted = list(config.dimensions)
    rows = warehouse.rows(_ASKED, [config.consensus_id, config.min_lead, wanted, wanted, limit])
    if not rows:
        raise ConfigError(f"consensus {config.consensus_id!r} has no clear pair to explain",
                          hint="rewarddance annotate consensus answers its consensus_id; or lower min_lead")
    writer = _writer(config)

    def body(recorder: Recorder) -> None:
        there = {(row["pair_id"], row["dimension"])
                 for row in warehouse.rows(_THERE, [writer.author_id, writer.revision])}
        todo = [row for row in rows if (row["pair_id"], row["dimension"]) not in there]
        recorder.count("read", len(rows))
        recorder.count("already_there", len(rows) - len(todo))
        absent: list[str] = []
        with ThreadPoolExecutor(max(writer.parallel, 1)) as pool:
            for start in range(0, len(todo), _CHUNK):
                chunk = todo[start : start + _CHUNK]
                outcomes = list(pool.map(lambda row: _outcome(warehouse, config, writer, row), chunk))
                _keep(warehouse, recorder, chunk, outcomes, writer.author_id)
                absent += [outcome.absent for outcome in outcomes if outcome.absent]
                recorder.progress(start + len(chunk), len(todo), "rationales")
                if len(absent) > len(chunk) and len(absent) == start + len(chunk):
                    break
        if absent:
            raise BackendError(f"{len(absent)} of {len(todo)} pairs got no answer; the first: {absent[0]}",
                               where=writer.author_id, hint="run the same command again: what was accepted is kept")
        recorder.output("author", writer.author_id)
        recorder.output("revision", writer.revision)

    return run_stage("rationales", config, warehouse, _inputs(rows, writer), body)


def counts(warehouse: Warehouse) -> list[Mapping[str, Any]]:
    """Rationales by author kind, author and revision: how many, how many verified; rejects stand beside."""
    return list(warehouse.rows(
        "SELECT author_kind, CASE author_kind WHEN 'model' THEN author_id ELSE 'raters' END AS author, "
        "coalesce(model_revision, '') AS revision, count(*) AS rationales, "
        "sum(CAST(coalesce(verified, false) AS INTEGER)) AS verified FROM rationales GROUP BY ALL ORDER BY ALL"))

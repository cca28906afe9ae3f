"""Stage `dataset`: a recipe applied to the rows at one snapshot becomes an immutable version with its shards.

Rows are walked twice: first alone, for the content hash, then with their media into shards under `.building`. The
finished folder is renamed to `v<N>` and its rows are committed last, so a kill at any moment leaves either nothing
that a reader would meet or a whole version; the next run starts the bytes anew and gets the same ones. The same
recipe on the same rows returns the version that is there. Builds of one dataset wait for each other.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime

import pyarrow as pa

from warehouse.catalog import Warehouse
from warehouse.datasets.card import Tally, write_card
from warehouse.datasets.query import Snapshot
from warehouse.datasets.recipe import SPLITS, BuildConfig, recipe_row
from warehouse.datasets.rows import record_of, sample_row, shard_rows
from warehouse.datasets.select import Chosen, ContentHash, Outline, outline, samples
from warehouse.errors import ConflictError, DiskFullError, InvalidInputError
from warehouse.hashing import canonical_json
from warehouse.lake import one_build
from warehouse.records import Row
from warehouse.shards.writer import Packed, Shard, SplitWriter, pack, sync_folder
from warehouse.stage import Receipt, Recorder, run_stage

CARD = "README.md"
_PAGE, _REPORT = 20_000, 64
_PACKERS, _AHEAD = 8, 64


class _Version:
    """A version while it is made."""

    def __init__(self, config: BuildConfig, warehouse: Warehouse, snapshot: Snapshot, plan: Outline) -> None:
        self.config, self.warehouse, self.snapshot, self.plan = config, warehouse, snapshot, plan
        self.folder = warehouse.root / "datasets" / config.name
        self.building = self.folder / ".building"
        self.tally = Tally()
        self.rows: list[pa.Table] = []
        self.recipe = recipe_row(config)

    def write(self, recorder: Recorder) -> dict[str, list[Shard]]:
        """All shards under the temporary folder; the rows of their samples gather in `rows`."""
        shutil.rmtree(self.building, ignore_errors=True)
        writers = {split: SplitWriter(self.building / split, self.config.shard_bytes) for split in SPLITS}
        try:
            self._fill(writers, recorder)
            return {split: writer.close() for split, writer in writers.items()}
        except BaseException as error:
            for writer in writers.values():
                writer.abandon()
            shutil.rmtree(self.building, ignore_errors=True)
            if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                raise DiskFullError("no room left for shards", where=str(self.folder), hint="free some room") from error
            raise

    def _fill(self, writers: dict[str, SplitWriter], recorder: Recorder) -> None:
        digest, page = ContentHash(), list[Row]()
        total = sum(self.plan.splits.values())
        for done, (chosen, packed) in enumerate(self._packed(), 1):
            shard = writers[chosen.split].add(packed)
            digest.add([chosen.key], [chosen.content])
            page.append(sample_row(chosen, shard))
            self.tally.add(chosen)
            if len(page) == _PAGE or done == total:
                self.rows.append(pa.Table.from_pylist(page))
                page.clear()
            if done % _REPORT == 0 or done == total:
                recorder.progress(done, total, "samples")
        if digest.hexdigest() != self.plan.hash:
            raise ConflictError(
                f"media came or went while {self.config.name} was made",
                where=str(self.folder),
                hint="run the same command again",
            )

    def _packed(self) -> Iterator[tuple[Chosen, Packed]]:
        """Samples in their order; the media of the next ones are read, checked and packed by threads meanwhile."""
        with ThreadPoolExecutor(_PACKERS) as pool:
            ahead: deque[tuple[Chosen, Future[Packed]]] = deque()
            for chosen in samples(self.snapshot):
                ahead.append((chosen, pool.submit(self._pack, chosen)))
                if len(ahead) > _AHEAD:
                    first, packed = ahead.popleft()
                    yield first, packed.result()
            for chosen, packed in ahead:
                yield chosen, packed.result()

    def _pack(self, chosen: Chosen) -> Packed:
        return pack(record_of(self.warehouse, chosen))

    def commit(self, shards: dict[str, list[Shard]], recorder: Recorder) -> int:
        """Give the version its number, move its folder there, then write its rows; returns the number."""
        known = self.warehouse.rows(
            "SELECT max(version) AS last FROM dataset_versions WHERE name = ?", [self.config.name]
        )
        parent = known[0]["last"]
        version = (parent or 0) + 1
        counts = {"splits": self.plan.splits, "left_out": self.plan.left_out}
        card = write_card(self.config, version, self.plan, self.snapshot, self.tally, shards)
        (self.building / CARD).write_text(card, encoding="utf-8")
        # A folder of this number without rows is what a killed build left behind.
        shutil.rmtree(self.folder / f"v{version}", ignore_errors=True)
        os.replace(self.building, self.folder / f"v{version}")
        sync_folder(self.folder)
        self.warehouse.publish(self.folder / f"v{version}")
        recorder.progress(1, 1, "rows")
        place = {"name": self.config.name, "version": version}
        about = {
            **place,
            "hash": self.plan.hash,
            "parent": parent,
            "recipe_id": self.recipe["recipe_id"],
            "consensus_id": self.config.consensus_ids[0],
            "snapshot_id": self.snapshot.id,
            "counts_json": canonical_json(counts),
            "card": card,
            "state": "ready",
            "created_at": datetime.now(UTC).replace(tzinfo=None),
        }
        with self.warehouse.commit(f"dataset {self.config.name}@{version}"):
            self.warehouse.merge("recipes", [self.recipe], run_id=recorder.run_id)
            self.warehouse.merge("shards", shard_rows(self.config.name, version, shards), run_id=recorder.run_id)
            rows = pa.concat_tables(self.rows)
            named = rows.append_column("name", pa.repeat(self.config.name, len(rows)))
            numbered = named.append_column("version", pa.repeat(pa.scalar(version, pa.int32()), len(rows)))
            self.warehouse.merge("samples", numbered, run_id=recorder.run_id)
            self.warehouse.merge("dataset_versions", [about], run_id=recorder.run_id)
        self.warehouse.release(self.folder / f"v{version}")
        return version


def _existing(config: BuildConfig, warehouse: Warehouse, content_hash: str) -> int | None:
    """Number of the version that this recipe made of these rows."""
    rows = warehouse.rows(
        "SELECT version FROM dataset_versions WHERE name = ? AND recipe_id = ? AND hash = ? AND state = 'ready'",
        [config.name, recipe_row(config)["recipe_id"], content_hash],
    )
    return int(rows[0]["version"]) if rows else None


def run(config: BuildConfig, warehouse: Warehouse) -> Receipt:
    """Build the version, or return the one that is there.

    Outputs name, version, hash, samples {split: n} and left_out {reason: n}. Raises NotFoundError for an unknown
    consensus, InvalidInputError where no sample is left.
    """
    with one_build(warehouse.place, config.name):
        snapshot = Snapshot(config, warehouse)
        plan = outline(snapshot)
        if not plan.splits:
            raise InvalidInputError(
                f"no sample is left for dataset {config.name}: {plan.left_out or 'no preferences'}",
                where=", ".join(config.consensus_ids),
                hint="are there instructions of this version and form, media, enough votes, usable licences?",
            )

        def body(recorder: Recorder) -> None:
            version = _existing(config, warehouse, plan.hash)
            if version is None:
                making = _Version(config, warehouse, snapshot, plan)
                version = making.commit(making.write(recorder), recorder)
            recorder.count("read", sum(plan.splits.values()) + sum(plan.left_out.values()))
            recorder.count("samples", sum(plan.splits.values()))
            for reason, number in plan.left_out.items():
                recorder.count(f"left_out_{reason}", number)
            recorder.output("name", config.name)
            recorder.output("version", version)
            recorder.output("hash", plan.hash)
            recorder.output("samples", {split: plan.splits.get(split, 0) for split in SPLITS})
            recorder.output("left_out", plan.left_out)

        inputs = {"rows": plan.hash, "left_out": canonical_json(plan.left_out)}
        return run_stage("dataset", config, warehouse, inputs, body)

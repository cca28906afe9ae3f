"""What a chosen sample becomes: the record in its shard, and its row in the warehouse."""

from __future__ import annotations

from dataclasses import asdict

from warehouse.catalog import Warehouse
from warehouse.datasets.select import Chosen, MediaMember
from warehouse.errors import ConflictError, CorruptDataError, NotFoundError
from warehouse.hashing import canonical_json, sha256_hex
from warehouse.records import ADVERSARIAL, Row
from warehouse.shards.writer import Record, Shard


def _media(warehouse: Warehouse, member: MediaMember) -> bytes:
    try:
        data = warehouse.local(member.uri).read_bytes()
    except (FileNotFoundError, NotFoundError) as error:
        raise ConflictError(
            "a media file went away while the version was made", where=member.uri, hint="run the same command again"
        ) from error
    if sha256_hex(data) != member.media_id:
        raise CorruptDataError(
            f"media {member.media_id} has other bytes than its name says",
            where=str(warehouse.root / member.uri),
            hint="restore the file, or remove it: its pairs are then left out and counted",
        )
    return data


def record_of(warehouse: Warehouse, chosen: Chosen) -> Record:
    """The sample with its media; raises CorruptDataError for bytes that are not those of their id."""
    texts = {"prompt": chosen.prompt, "instruction": chosen.instruction, "rationale": chosen.rationale}
    return Record(
        chosen.key,
        chosen.facts["task"],
        chosen.facts["dimension"],
        chosen.facts["media_kind"],
        [
            *((member.suffix, _media(warehouse, member)) for member in chosen.media),
            *((f"{name}.txt", text.encode()) for name, text in texts.items()),
            ("json", canonical_json(chosen.facts).encode()),
        ],
        ADVERSARIAL if chosen.facts["source"] == ADVERSARIAL else "",
    )


def sample_row(chosen: Chosen, shard: str) -> Row:
    """The row of a sample, but for name and version; `shard` is the shard's file."""
    facts = chosen.facts
    return {
        "sample_key": chosen.key,
        "split": chosen.split,
        **{name: facts[name] for name in ("pair_id", "prompt_id", "dimension", "task", "instruction_id")},
        "preference_id": facts["preference_id"],
        "rationale_id": facts["rationale_id"] or None,
        "reference_ids_json": canonical_json(list(chosen.reference_ids)),
        "p_a": facts["p_a"],
        "content_sha256": chosen.content,
        "shard": f"{chosen.split}/{shard}",
    }


def shard_rows(name: str, version: int, shards: dict[str, list[Shard]]) -> list[Row]:
    """The rows of a version's shards; uris are relative to the warehouse."""
    return [
        {
            "name": name,
            "version": version,
            "split": split,
            "shard": f"{split}/{shard.name}",
            "uri": f"datasets/{name}/v{version}/{split}/{shard.name}",
            **{key: value for key, value in asdict(shard).items() if key != "name"},
        }
        for split, written in shards.items()
        for shard in written
    ]

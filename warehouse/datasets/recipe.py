"""The recipe of a dataset: which consensus, which samples, how they are split. All of it decides the version's bytes.

Splits follow the prompt's canonical text, so that no prompt stands on both sides of train, validation and test.
"""

from __future__ import annotations

from pydantic import Field, model_validator

from warehouse.hashing import Column, canonical_json, content_id, content_id_sql
from warehouse.records import Row
from warehouse.stage import StageConfig

SPLITS = ("train", "validation", "test", "ood")


class BuildConfig(StageConfig):
    """What goes into a version of the dataset `name`.

    - `consensus_ids`: where several speak of one (pair, dimension), the first named counts.
    - `tasks`, `dimensions`: empty means all; so do `sources` (of the pair or its prompt), `generators` (id or name, of
      both candidates) and `annotator_kinds` (of every rater who voted on the pair).
    - `instruction_version`, `instruction_form`: which row of `instructions` each sample carries.
    - `rationales`: False writes empty rationales.
    - `references`, `reference_model_id`: the k best candidates of the prompt (table reference_ranks), outside the pair.
    - `validation`, `test`: fractions of the prompts; `split_seed` deals them anew.
    - `ood_domains`, `ood_sources` (of the prompt: all samples with its text) and `ood_generators` (id or name, of
      either candidate: that pair alone, whose prompt may also stand elsewhere) make the split `ood`.
    - `licences`: names of non-commercial or unknown licences that are wanted all the same; the others are left out.
    - `min_votes`: pairs with fewer votes are left out.
    - `shard_bytes`: a shard is closed before it grows past this.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")
    consensus_ids: tuple[str, ...] = Field(min_length=1)
    tasks: tuple[str, ...] = ()
    dimensions: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    generators: tuple[str, ...] = ()
    annotator_kinds: tuple[str, ...] = ()
    instruction_version: int = Field(default=1, ge=1)
    instruction_form: str = "pairwise"
    rationales: bool = True
    references: int = Field(default=0, ge=0, le=16)
    reference_model_id: str = ""
    validation: float = Field(default=0.1, ge=0, le=1)
    test: float = Field(default=0.1, ge=0, le=1)
    split_seed: int = 0
    ood_domains: tuple[str, ...] = ("ood",)
    ood_sources: tuple[str, ...] = ()
    ood_generators: tuple[str, ...] = ()
    licences: tuple[str, ...] = ()
    min_votes: int = Field(default=1, ge=0)
    shard_bytes: int = Field(default=256 * 1024 * 1024, ge=1024)

    @model_validator(mode="after")
    def _consistent(self) -> BuildConfig:
        if self.validation + self.test > 1:
            raise ValueError(f"validation + test must be at most 1, got {self.validation} + {self.test}")
        if bool(self.references) != bool(self.reference_model_id):
            raise ValueError("references and reference_model_id go together")
        return self


def recipe_row(config: BuildConfig) -> Row:
    """The recipe as a row; its id follows from every field that decides the bytes."""
    body = canonical_json({name: value for name, value in config.identity().items() if name != "reject_limit"})
    return {"recipe_id": content_id("recipe", body), "name": config.name, "body_json": body}


def split_sql(canonical: Column, config: BuildConfig) -> str:
    """SQL for train, validation or test, by the first 52 bits of a hash of the prompt's canonical text."""
    digits = f"substring({content_id_sql('split', config.split_seed, canonical)}, 1, 13)"
    place = f"(('0x' || {digits})::BIGINT::DOUBLE / {2**52}::DOUBLE)"
    test, both = (f"'{limit!r}'::DOUBLE" for limit in (config.test, config.test + config.validation))
    # Not a CASE, in which DuckDB takes the hash once for each comparison.
    return f"['test', 'validation', 'train'][1 + ({place} >= {test})::INTEGER + ({place} >= {both})::INTEGER]"

"""Folders of reward models: where they lie, what identifies their weights, and the card rm.json beside them.

A folder is a whole Hugging Face checkpoint (config, safetensors, tokenizer, preprocessor_config.json) that other tools
can load; rm.json says which data it learned from and which questions it was asked. A folder without rm.json is a
pretrained model: it scores when every item brings its own instruction.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from safetensors.torch import load_file, save_file

from rm.checkpoint import sync
from rm.forms import add_head
from warehouse import Warehouse
from warehouse.errors import ConfigError, CorruptDataError, NotFoundError
from warehouse.hashing import content_id

CARD_FILE = "rm.json"
HEAD_FILE = "reward_head.safetensors"
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.json", "merges.txt",
                    "added_tokens.json", "chat_template.jinja", "preprocessor_config.json",
                    "processor_config.json", "video_preprocessor_config.json")
DEFAULT_MAX_FRAMES = 4


class ModelCard(BaseModel):
    """What rm.json says. `instructions` is {task: {dimension: template}}, `form` how the question is put, `config` the
    training that made it, by code of `code_version`, from `base_id` on `dataset`@`version`. `rationale` says where the
    verdict stands (after at most `reason_tokens` of reasons), `references` how many further ones are shown.
    """

    model_config = ConfigDict(extra="forbid")
    model_id: str
    name: str = ""
    base_id: str = ""
    dataset: str = ""
    version: int = 0
    dataset_hash: str = ""
    form: str = "pairwise"
    instructions: dict[str, dict[str, str]] = Field(default_factory=dict)
    max_frames: int = DEFAULT_MAX_FRAMES
    rationale: str = "verdict_first"
    reason_tokens: int = 64
    references: int = 0
    code_version: str = ""
    config: dict[str, Any] = Field(default_factory=dict)
    metrics: dict[str, float] = Field(default_factory=dict)

    def instruction(self, task: str, dimension: str) -> str:
        """The template of a task and dimension; raises ConfigError where the model was never asked that."""
        try:
            return self.instructions[task][dimension]
        except KeyError as error:
            known = [f"{t}/{d}" for t, dimensions in self.instructions.items() for d in dimensions]
            raise ConfigError(f"this model has no instruction for {task}/{dimension}", where=self.model_id,
                              hint=f"it was asked {', '.join(known) or 'nothing yet: give instructions'}") from error


def models_folder(warehouse: Warehouse | Path | str) -> Path:
    """`<root>/models`."""
    return (warehouse.root if isinstance(warehouse, Warehouse) else Path(warehouse)) / "models"


def find_model(warehouse: Warehouse | Path | str, model: str) -> Path:
    """Folder of a model id of this warehouse, or of a path (from its root, or as it is); raises NotFoundError."""
    models = models_folder(warehouse)
    for folder in (models / model, models.parent / model, Path(model)):
        if model and (folder / "config.json").is_file():
            return folder
    raise NotFoundError(f"no model {model!r}", where=str(models),
                        hint="give a model id of this warehouse, or a folder with config.json and safetensors")


def weights_digest(folder: Path) -> str:
    """SHA-256 over names and bytes of the files that decide what the model computes."""
    digest = hashlib.sha256()
    files = [*sorted(folder.glob("*.safetensors")), folder / "config.json", *(folder / n for n in _TOKENIZER_FILES)]
    for path in files:
        if path.is_file():
            digest.update(path.name.encode())
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def read_card(folder: Path) -> ModelCard:
    """The card; a folder without one is called by the hash of its weights."""
    path = folder / CARD_FILE
    if path.is_file():
        return ModelCard.model_validate_json(path.read_text(encoding="utf-8"))
    return ModelCard(model_id=content_id("pretrained", weights_digest(folder)), name=folder.name)


def save_model(model: Any, base: Path, card: ModelCard, extra: dict[str, str], target: Path) -> None:
    """Write a whole checkpoint under a temporary name and rename it; `extra` are further text files by name."""
    part = target.with_name(f".part-{target.name}")
    shutil.rmtree(part, ignore_errors=True)
    head = model.__dict__["_modules"].pop("reward_head", None)
    model.save_pretrained(part)
    if head is not None:
        save_file({name: value.contiguous() for name, value in head.state_dict().items()}, part / HEAD_FILE)
    for name in _TOKENIZER_FILES:
        if (base / name).is_file():
            shutil.copyfile(base / name, part / name)
    for name, text in {CARD_FILE: card.model_dump_json(indent=2) + "\n", **extra}.items():
        (part / name).write_text(text, encoding="utf-8")
    sync(part)
    os.replace(part, target)


def load_head(model: Any, folder: Path) -> None:
    """Give a regressive model the head that lies in its folder; raises CorruptDataError where it is gone."""
    if (folder / HEAD_FILE).is_file():
        add_head(model).load_state_dict(load_file(folder / HEAD_FILE, device=str(model.device)))
    elif read_card(folder).form == "regressive":
        raise CorruptDataError("a regressive model without its head", where=str(folder / HEAD_FILE),
                               hint="restore the file, or train again")

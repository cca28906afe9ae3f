"""A run as one file: which stages, with which options, in which order.

Owns `RunConfig` (YAML) and how options refer to what earlier stages produced. Leaves out what any stage does: an
entry names a stage's config class as `module:Class`, and the module's `run` is called with it by `pipelines.job`.

A text option may hold references: `${taste}`, `${seed}`, `${out}`, `${warehouse}` (folder of the rows), `${source}`
(folder of the software) and `${STAGE.KEY}`, an output of the receipt of stage STAGE. A value that is one whole
reference keeps its type.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from warehouse.errors import ConfigError, NotFoundError

_REFERENCE = re.compile(r"\$\{([A-Za-z0-9_]+)(?:\.([A-Za-z0-9_]+))?\}")
SOURCE_ROOT = Path(__file__).resolve().parent.parent


class StageEntry(BaseModel):
    """One stage of a run: `name` is unique, `stage` is `module:ConfigClass`, `after` names what it waits for.

    `files` are read from outside the warehouse; `summary` maps a dotted key of summary.json to an output of the stage
    (`output`) or to one key of it (`output.key`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    stage: str = Field(pattern=r"^[a-z_.0-9]+:[A-Za-z_]+$")
    title: str = ""
    after: tuple[str, ...] = ()
    options: dict[str, Any] = Field(default_factory=dict)
    files: tuple[str, ...] = ()
    summary: dict[str, str] = Field(default_factory=dict)


class Aligned(BaseModel):
    """One alignment for the report: the aligned policy and the generators before and after it; ids or references."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    model: str
    before: str
    after: str
    source: str = ""


class Show(BaseModel):
    """What the report shows of all that the warehouse holds; ids or references. Empty: everything there is.

    `search` is the generator whose candidates were searched over.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    campaigns: tuple[str, ...] = ()
    consensus: tuple[str, ...] = ()
    reward_model: str = ""
    search: str = ""
    alignments: tuple[Aligned, ...] = ()


class RunConfig(BaseModel):
    """A whole run. `taste` is the simulated population (ignored by runs on real media), `workers` jobs side by side."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str = ""
    taste: str = "large_warm"
    seed: int = 0
    workers: int = Field(default=2, ge=1, le=64)
    report: bool = True
    show: Show = Show()
    stages: tuple[StageEntry, ...]

    @model_validator(mode="after")
    def _ordered(self) -> RunConfig:
        seen: set[str] = set()
        for entry in self.stages:
            unknown = (set(entry.after) | _stages_named(entry.options)) - seen
            if unknown:
                raise ValueError(f"stage {entry.name!r} refers to {sorted(unknown)}, which do not stand before it")
            if entry.name in seen:
                raise ValueError(f"two stages are called {entry.name!r}")
            seen.add(entry.name)
        unknown = _stages_named(self.show.model_dump()) - seen
        if unknown:
            raise ValueError(f"show refers to {sorted(unknown)}, which are not stages of this run")
        return self

    def waits_for(self, entry: StageEntry) -> set[str]:
        """Names of the stages that must have finished before `entry` starts: `after` and every reference."""
        return set(entry.after) | _stages_named(entry.options)


def _stages_named(value: Any) -> set[str]:
    if isinstance(value, str):
        return {match[1] for match in _REFERENCE.finditer(value) if match[2]}
    if isinstance(value, Mapping):
        return set().union(*(_stages_named(item) for item in value.values()))
    if isinstance(value, list | tuple):
        return set().union(*(_stages_named(item) for item in value))
    return set()


def load_config(path: Path, overrides: Mapping[str, Any] | None = None) -> RunConfig:
    """The run in `path` with top-level keys replaced by `overrides`; ConfigError names the key that is wrong."""
    if not path.is_file():
        raise NotFoundError(f"no config file {path}", hint="docs/cli.md describes its keys")
    try:
        body = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"not readable as YAML: {error}", where=str(path)) from error
    if not isinstance(body, dict):
        raise ConfigError("a run config is a mapping with the keys name and stages", where=str(path))
    body.update({key: value for key, value in (overrides or {}).items() if value is not None})
    try:
        return RunConfig.model_validate(body)
    except ValidationError as error:
        raise ConfigError(explain(error), where=str(path), hint="keys are described in docs/cli.md") from error


def explain(error: ValidationError) -> str:
    """All complaints of pydantic on one line: `key: what is wrong`."""
    return "; ".join(f"{'.'.join(str(part) for part in item['loc']) or 'config'}: {item['msg']}"
                     for item in error.errors())


def resolve(value: Any, context: Mapping[str, Any]) -> Any:
    """`value` with every reference replaced; `context` maps names to values and stage names to output mappings."""
    if isinstance(value, str):
        whole = _REFERENCE.fullmatch(value)
        if whole:
            return _look_up(whole, context)
        return _REFERENCE.sub(lambda match: str(_look_up(match, context)), value)
    if isinstance(value, Mapping):
        return {key: resolve(item, context) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [resolve(item, context) for item in value]
    return value


def _look_up(match: re.Match[str], context: Mapping[str, Any]) -> Any:
    name, key = match[1], match[2]
    if name not in context:
        raise ConfigError(f"unknown reference {match[0]}", hint=f"known: {', '.join(sorted(context))}")
    if key is None:
        return context[name]
    if key not in context[name]:
        raise ConfigError(f"stage {name!r} has no output {key!r}", where=match[0],
                          hint=f"it has: {', '.join(sorted(context[name])) or 'none'}")
    return context[name][key]

"""The scorer that a config names: a model of ours, or somebody else's plug-in with its options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rm.reward_model import load_reward_model
from rm.scorers import Scorer, load_scorer
from warehouse import Warehouse
from warehouse.errors import ConfigError


def named_scorer(warehouse: Warehouse, model_id: str, scorer: str, options: Mapping[str, Any]) -> Scorer:
    """The model of an id or folder, or the scorer `module:Class`; raises ConfigError unless exactly one is named."""
    if bool(model_id) == bool(scorer):
        raise ConfigError("one scorer is wanted: a model, or somebody else's",
                          hint="name a model of the warehouse, or module:Class with its options")
    return load_scorer(scorer, options) if scorer else load_reward_model(warehouse, model_id)

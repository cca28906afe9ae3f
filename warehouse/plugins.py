"""Plug-ins are named in configuration as `module:object`."""

from __future__ import annotations

import importlib
from typing import Any

from warehouse.errors import ConfigError


def load_plugin(name: str) -> Any:
    """The object that `module:object` names; raises ConfigError that says which half was wrong."""
    module_name, _, attribute = name.partition(":")
    if not module_name or not attribute:
        raise ConfigError(f"a plug-in is named module:object, got {name!r}")
    try:
        return getattr(importlib.import_module(module_name), attribute)
    except ImportError as error:
        message = f"plug-in module {module_name!r} does not import: {error}"
        raise ConfigError(message, hint="is it installed?") from error
    except AttributeError as error:
        raise ConfigError(f"module {module_name!r} has no {attribute!r}") from error

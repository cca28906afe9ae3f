"""Publishing a campaign on Label Studio, and naming the label config that each of its tasks was published under."""

from __future__ import annotations

from typing import Any

from annotation import campaign, items
from annotation.campaign import CampaignConfig
from annotation.exam import check_questions
from annotation.items import ItemConfig
from annotation.label_studio import state, webhooks
from annotation.label_studio.backend import PLUGIN, LabelStudio
from annotation.label_studio.items import ItemsInLabelStudio
from annotation.label_studio.sync import one_at_a_time
from warehouse import Warehouse
from warehouse.stage import Receipt

_UNNAMED = """
SELECT * FROM annotation_tasks WHERE campaign_id = ? AND label_config_id IS NULL AND backend_ref IS NOT NULL
"""


def config_of(name: str, options: dict[str, Any]) -> CampaignConfig:
    """The campaign of this name on Label Studio; `options` are the other keys of CampaignConfig."""
    backend = {"campaign": name, **options.pop("backend_options", {})}
    return CampaignConfig(name=name, backend=PLUGIN, backend_options=backend, **options)


def item_config_of(name: str, options: dict[str, Any]) -> ItemConfig:
    """The campaign of this name about single items; `options` are the other keys of ItemConfig."""
    backend = {"campaign": name, **options.pop("backend_options", {})}
    return ItemConfig(name=name, backend=ItemsInLabelStudio.plugin, backend_options=backend, **options)


def publish(warehouse: Warehouse, config: CampaignConfig | ItemConfig) -> Receipt:
    """Make or update the campaign's projects and fill them; the same campaign again adds nothing.

    Label configs that were edited by hand on the server are put back. Raises ConfigError where raters are to be
    admitted by questions that are not there.
    """
    kind = ItemsInLabelStudio if isinstance(config, ItemConfig) else LabelStudio
    backend = kind(warehouse, **config.backend_options)
    if backend.admission is not None:
        check_questions(warehouse, config.task, config.dimensions, backend.admission)
    with one_at_a_time(warehouse):
        receipt = items.run(config, warehouse) if isinstance(config, ItemConfig) else campaign.run(config, warehouse)
        rows = warehouse.rows(_UNNAMED, [config.campaign_id()])
        named = [row | {"label_config_id": row["backend_ref"].split(":")[2]} for row in rows]
        warehouse.merge("annotation_tasks", named)
        backend.restore()
        _ring(warehouse, backend)
    return receipt


def _ring(warehouse: Warehouse, backend: LabelStudio) -> None:
    """Webhooks of the projects, where a gateway was started; `annotate up` says where they are refused."""
    place = state.folder(warehouse.root)
    server = state.load(place)
    if server is not None and server.gateway_url and server.bell:
        webhooks.register(backend.client, place, server.gateway_url, backend.published())

"""Publishing a campaign on Label Studio, and naming the label config that each of its tasks was published under."""

from __future__ import annotations

from typing import Any

from annotation import campaign
from annotation.campaign import CampaignConfig
from annotation.label_studio.backend import PLUGIN, LabelStudio
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


def publish(warehouse: Warehouse, config: CampaignConfig) -> Receipt:
    """Make or update the campaign's projects and fill them; the same campaign again adds nothing.

    Label configs that were edited by hand on the server are put back.
    """
    with one_at_a_time(warehouse):
        receipt = campaign.run(config, warehouse)
        rows = warehouse.rows(_UNNAMED, [config.campaign_id()])
        named = [row | {"label_config_id": row["backend_ref"].split(":")[2]} for row in rows]
        warehouse.merge("annotation_tasks", named)
        LabelStudio(warehouse, **config.backend_options).restore()
    return receipt

"""Pass or fail about single items in Label Studio: the same projects, queue and poll as for pairs, another page.

Answers come by `annotate sync`, like those about pairs.
"""

from __future__ import annotations

from collections.abc import Sequence

from annotation.items import ItemTask, ItemVote
from annotation.label_studio.backend import PLUGINS, LabelStudio


class ItemsInLabelStudio(LabelStudio):
    """An item campaign, by name; `regions` does not apply."""

    plugin = PLUGINS[1]

    def publish_items(self, tasks: Sequence[ItemTask]) -> list[str]:
        """`project:task:label config` for each task; what is on the server is not added again."""
        return self._publish(tasks)

    def pull_items(self) -> list[ItemVote]:
        """None: the sync takes answers in, and knows which were edited or deleted since."""
        return []

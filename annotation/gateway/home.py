"""The rater's first page: their campaigns, and what waits in each."""

from __future__ import annotations

import html
from collections.abc import Sequence

from annotation.gateway.door import Obstacle

_WORDS = {"qualify": "a short test comes first", "refused": "the test was not passed", "paused": "paused"}
_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Your work</title>
<style>
:root { color-scheme: light dark; font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
body { margin: 0 auto; max-width: 640px; padding: 64px 28px; }
h1 { font-size: 28px; letter-spacing: -.02em; margin: 0 0 24px; }
ul { list-style: none; padding: 0; display: grid; gap: 12px; }
a { display: flex; justify-content: space-between; gap: 24px; padding: 14px 20px; border: 1px solid #8884;
  border-radius: 14px; color: inherit; text-decoration: none; }
a:hover, a:focus { border-color: #4c5fa9; }
b { overflow-wrap: anywhere; }
span { opacity: .65; white-space: nowrap; }
</style>
<h1>Your work</h1>
BODY
"""


def told(obstacle: Obstacle, left: int) -> str:
    """What waits in a campaign, or what stands in the way."""
    return _WORDS.get(obstacle) or (f"{left} left" if left else "done")


def home_page(work: Sequence[tuple[str, str, str]]) -> str:
    """HTML for (address, campaign, what waits)."""
    items = "".join(f'<li><a href="{address}"><b>{html.escape(name)}</b><span>{html.escape(waits)}</span></a></li>'
                    for address, name, waits in work)
    return _PAGE.replace("BODY", f"<ul>{items}</ul>" if items else "<p>Nothing to do yet. Come back later.</p>")

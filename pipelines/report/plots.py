"""Curves and bars as inline SVG, in colours that work on light and dark."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

COLOURS = ("#3b82f6", "#f59e0b", "#10b981", "#ef4444", "#8b5cf6")
_STYLE: Any = {"svg.fonttype": "none", "svg.hashsalt": "report", "font.size": 9, "font.family": "sans-serif",
          "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": "#888888", "text.color": "#888888",
          "axes.labelcolor": "#888888", "xtick.color": "#888888", "ytick.color": "#888888", "axes.grid": True,
          "grid.alpha": 0.25}

Curve = Sequence[tuple[float, float]]


def curves_svg(curves: Mapping[str, Curve], x_label: str, y_label: str) -> str:
    """One SVG with a line per name; each curve is (x, y) points in order of x. Empty text without points."""
    if not any(curves.values()):
        return ""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    with plt.rc_context(_STYLE):
        figure, axes = plt.subplots(figsize=(5.2, 2.7), layout="constrained")
        for (name, points), colour in zip(curves.items(), COLOURS * 4, strict=False):
            axes.plot([x for x, _ in points], [y for _, y in points], label=name, color=colour, linewidth=1.8)
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        axes.legend(frameon=False, labelcolor="#888888")
        target = io.StringIO()
        figure.savefig(target, format="svg", transparent=True, metadata={"Date": None})
        plt.close(figure)
    text = target.getvalue()
    return text[text.index("<svg"):]

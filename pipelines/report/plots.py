"""Lines and bars as inline SVG, in colours that work on light and dark. Matplotlib is imported when one is drawn."""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

COLOURS = ("#3b82f6", "#f59e0b", "#10b981", "#ef4444", "#8b5cf6")
_DIM = "#888888"
_STYLE: Any = {
    "svg.fonttype": "none", "svg.hashsalt": "report", "font.size": 9, "font.family": "sans-serif",
    "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": _DIM, "text.color": _DIM,
    "axes.labelcolor": _DIM, "xtick.color": _DIM, "ytick.color": _DIM, "axes.grid": True, "grid.alpha": 0.25,
}  # fmt: skip

Curve = Sequence[tuple[float, float]]


@contextmanager
def _axes(out: list[str], height_in: float = 2.5) -> Iterator[Any]:
    """Axes to draw on; the finished SVG is appended to `out`."""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    with plt.rc_context(_STYLE):
        figure, axes = plt.subplots(figsize=(4.8, height_in), layout="constrained")
        yield axes
        target = io.StringIO()
        figure.savefig(target, format="svg", transparent=True, metadata={"Date": None})
        plt.close(figure)
    text = target.getvalue()
    out.append(text[text.index("<svg"):])


def lines(curves: Mapping[str, Curve], x_label: str, y_label: str) -> str:
    """One line per name; each curve is (x, y) points in order of x. Empty text without points."""
    drawn = {name: points for name, points in curves.items() if points}
    if not drawn:
        return ""
    out: list[str] = []
    with _axes(out) as axes:
        for (name, points), colour in zip(drawn.items(), COLOURS * 4, strict=False):
            mark = "o" if len(points) < 12 else ""
            label = name.replace("/", ": ").replace("_", " ")
            axes.plot([x for x, _ in points], [y for _, y in points], label=label, color=colour, linewidth=1.8,
                      marker=mark, markersize=4)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        if len(drawn) > 1:
            axes.legend(frameon=False, labelcolor=_DIM)
    return out[0]


def bars(values: Mapping[str, float], y_label: str, marked: Collection[str] = ()) -> str:
    """One bar per name in the order given, those of `marked` in red. Empty text without values."""
    if not values:
        return ""
    out: list[str] = []
    with _axes(out, 2.0) as axes:
        colours = [COLOURS[3] if name in marked else COLOURS[0] for name in values]
        axes.bar(list(values), list(values.values()), color=colours, width=0.7)
        axes.set_ylabel(y_label)
        axes.grid(visible=False, axis="x")
        axes.tick_params(axis="x", rotation=90, labelsize=7)
    return out[0]

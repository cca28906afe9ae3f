"""Lines, bars and intervals as inline SVG, in colours that work on light and dark.

Matplotlib is imported when one is drawn. Text stays text (`svg.fonttype` none), so that it takes the page's font.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

COLOURS = ("#3b82f6", "#f59e0b", "#10b981", "#ef4444", "#8b5cf6")
_DIM = "#888888"
_STYLE: Any = {
    "svg.fonttype": "none", "svg.hashsalt": "report", "font.size": 10, "font.family": "sans-serif",
    "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": _DIM, "text.color": _DIM,
    "axes.labelcolor": _DIM, "xtick.color": _DIM, "ytick.color": _DIM, "axes.grid": True, "grid.alpha": 0.25,
    "axes.axisbelow": True,
}  # fmt: skip
_MANY_BARS = 6

Curve = Sequence[tuple[float, float]]
# label, value, low, high
Interval = tuple[str, float, float, float]


@contextmanager
def _axes(out: list[str], height_in: float = 2.4) -> Iterator[Any]:
    """Axes to draw on; the finished SVG is appended to `out`."""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    with plt.rc_context(_STYLE):
        figure, axes = plt.subplots(figsize=(5.4, height_in), layout="constrained")
        yield axes
        target = io.StringIO()
        figure.savefig(target, format="svg", transparent=True, metadata={"Date": None})
        plt.close(figure)
    text = target.getvalue()
    out.append(text[text.index("<svg"):])


def lines(curves: Mapping[str, Curve], x_label: str, y_label: str, ticks: Sequence[float] = ()) -> str:
    """One line per name; each curve is (x, y) points in order of x. Empty text without points.

    `ticks` are the only values marked on the x axis, which then grows by factors (1, 4, 16).
    """
    drawn = {name: points for name, points in curves.items() if points}
    if not drawn:
        return ""
    out: list[str] = []
    with _axes(out) as axes:
        for (name, points), colour in zip(drawn.items(), COLOURS * 4, strict=False):
            mark = "o" if len(points) < 12 else ""
            axes.plot([x for x, _ in points], [y for _, y in points], label=name, color=colour, linewidth=1.8,
                      marker=mark, markersize=4)
        axes.xaxis.get_major_locator().set_params(integer=True)
        if ticks:
            axes.set_xscale("log", base=2)
            axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        if len(drawn) > 1:
            axes.legend(frameon=False, labelcolor=_DIM, loc="lower left", bbox_to_anchor=(0, 1), ncols=3,
                        borderaxespad=0.2, handlelength=1.4, columnspacing=1.2)
    return out[0]


def bars(values: Mapping[str, float], y_label: str, marked: Collection[str] = (), level: float | None = None) -> str:
    """One bar per name in the order given, those of `marked` in red, a dashed line at `level`. Empty without values."""
    if not values:
        return ""
    out: list[str] = []
    with _axes(out, 2.1) as axes:
        colours = [COLOURS[3] if name in marked else COLOURS[0] for name in values]
        axes.bar(list(values), list(values.values()), color=colours, width=0.7 if len(values) > _MANY_BARS else 0.5)
        axes.set_ylabel(y_label)
        axes.grid(visible=False, axis="x")
        if level is not None:
            axes.axhline(level, color=_DIM, linewidth=1, linestyle="--")
        if len(values) > _MANY_BARS:
            axes.tick_params(axis="x", rotation=90, labelsize=7)
    return out[0]


def intervals(rows: Sequence[Interval], x_label: str, level: float | None = None) -> str:
    """A point with its interval per row, first row on top; a dashed line at `level`. Empty without rows."""
    if not rows:
        return ""
    out: list[str] = []
    with _axes(out, 0.7 + 0.27 * len(rows)) as axes:
        for place, (_, value, low, high) in enumerate(rows):
            axes.plot([low, high], [place, place], color=COLOURS[0], linewidth=2.5, alpha=0.45, solid_capstyle="round")
            axes.plot([value], [place], color=COLOURS[0], marker="o", markersize=6)
        if level is not None:
            axes.axvline(level, color=_DIM, linewidth=1, linestyle="--")
        axes.set_yticks(range(len(rows)), [f"{label}  {value:.2f}" for label, value, *_ in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlabel(x_label)
        axes.grid(visible=False, axis="y")
    return out[0]

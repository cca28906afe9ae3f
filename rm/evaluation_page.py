"""One evaluation as one HTML file: accuracy by part with intervals, the reliability plot, the paired comparison.

Self-contained: no scripts, no links. Bars show where an interval lies between 0 and 1; the thin line is chance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

_STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem;color:#1b1f24}
h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}table{border-collapse:collapse;width:100%}
td,th{text-align:left;padding:.25rem .6rem;border-bottom:1px solid #e4e7eb}td.n{text-align:right}
.muted{color:#667}svg{background:#fafbfc;border:1px solid #e4e7eb}"""
_SIDE, _EDGE = 320, 36


def page(title: str, found: Mapping[str, Any]) -> str:
    """HTML of what the stage found, as its outputs name it."""
    blocks = [f"<h1>{escape(title)}</h1>", f"<p>{_summary(found)}</p>", "<h2>Accuracy</h2>",
              _accuracies(found["parts"]), _ties(found)]
    if found.get("difference"):
        blocks += ["<h2>Against the other model</h2>", _differences(found["difference"])]
    blocks += ["<h2>Reliability</h2>", "<p class=muted>What the model says against what people say; the area of a "
               "point is its share of the answers, the diagonal is perfect calibration.</p>",
               reliability_plot(found["reliability"]), "<h2>What it should not look at</h2>", _nuisances(found)]
    return (f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(title)}</title>"
            f"<style>{_STYLE}</style><body>{''.join(blocks)}</body></html>\n")


def _ties(found: Mapping[str, Any]) -> str:
    if found["tie_threshold"] is None:
        return "<p class=muted>No other split to choose a threshold for ties on.</p>"
    rows = {f"{split}, ties counted": value for split, value in found["accuracy_with_ties"].items()}
    return (f"<p class=muted>Ties counted as an answer of their own: said where the log-odds are within "
            f"{found['tie_threshold']:.2f}, chosen on the validation split.</p>{_accuracies(rows)}")


def _nuisances(found: Mapping[str, Any]) -> str:
    rows = "".join(f"<tr><td>{name.replace('_', ' ')}<td class=n>{value:+.2f}"
                   for name, value in found["nuisances"].items())
    return ("<p class=muted>Spearman's correlation of the margin with what b has more of than a. People may like some "
            "of it too: compare with another model rather than with zero.</p>"
            f"<table><tr><th>nuisance<th>correlation{rows}</table>")


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def _summary(found: Mapping[str, Any]) -> str:
    return (f"Flips when the places are swapped: {_percent(found['flip_rate'])}. Expected calibration error: "
            f"{_percent(found['ece'])}. Spread of scores: {found['spread']:.3f}, {found['levels']} distinct levels. "
            f"Ceiling: one annotator agrees with the others in {_percent(found['annotator_ceiling'])} of the pairs.")


def _accuracies(parts: Mapping[str, Mapping[str, Any]]) -> str:
    rows = "".join(f"<tr><td>{escape(name)}<td>{_interval(value)}<td>{_bar(value)}<td class=n>{value['n']}"
                   for name, value in parts.items() if value["n"])
    return f"<table><tr><th>part<th>accuracy, 95 % interval<th>0 to 1<th>pairs{rows}</table>"


def _interval(value: Mapping[str, Any]) -> str:
    middle, low, high = (_percent(value[name]) for name in ("value", "ci_low", "ci_high"))
    return f"{middle} <span class=muted>{low} - {high}</span>"


def _bar(value: Mapping[str, Any]) -> str:
    low, high, middle = (160 * value[name] for name in ("ci_low", "ci_high", "value"))
    return (f"<svg width=160 height=14><line x1=80 x2=80 y1=0 y2=14 stroke=#ccd />"
            f"<rect x={low:.1f} width={max(high - low, 1):.1f} y=4 height=6 fill=#9db8e8 />"
            f"<circle cx={middle:.1f} cy=7 r=3 fill=#1f4fa3 /></svg>")


def _differences(difference: Mapping[str, Mapping[str, Any]]) -> str:
    rows = "".join(f"<tr><td>{escape(split)}<td>{_interval(value)}<td>{_verdict(value)}<td class=n>{value['n']}"
                   for split, value in difference.items() if value["n"])
    return f"<table><tr><th>split<th>difference of accuracy, 95 % interval<th><th>prompts{rows}</table>"


def _verdict(value: Mapping[str, Any]) -> str:
    if value["ci_low"] > 0:
        return "better"
    return "worse" if value["ci_high"] < 0 else "no difference shown"


def reliability_plot(bins: Sequence[Mapping[str, Any]]) -> str:
    """SVG of mean predicted against mean wanted; an empty frame for no answers."""
    total = sum(each["n"] for each in bins) or 1

    def x(p: float) -> float:
        return _EDGE + p * _SIDE

    def y(p: float) -> float:
        return _SIDE + 10 - p * _SIDE

    points = "".join(f"<circle cx={x(each['predicted']):.1f} cy={y(each['wanted']):.1f} "
                     f"r={2 + 14 * (each['n'] / total) ** 0.5:.1f} fill=#1f4fa3 fill-opacity=.6>"
                     f"<title>{each['n']} answers</title></circle>" for each in bins)
    ticks = "".join(f"<text x={x(p):.0f} y={_SIDE + 26} font-size=11 text-anchor=middle>{p:g}</text>"
                    f"<text x={_EDGE - 6} y={y(p) + 4:.0f} font-size=11 text-anchor=end>{p:g}</text>"
                    for p in (0, 0.5, 1))
    return (f"<svg width={_SIDE + _EDGE + 14} height={_SIDE + 36} role=img aria-label='reliability plot'>"
            f"<line x1={x(0)} y1={y(0)} x2={x(1)} y2={y(1)} stroke=#99a stroke-dasharray=4 />{points}{ticks}</svg>")

"""Label Studio's JSON export of tasks that showed two media side by side (not JSON-MIN, which `table` reads).

A task holds the prompt and the two media in its `data`, and annotations by people. Controls named after a dimension
give that dimension's vote; `label` names one control where it is called something else, and its votes go to
`dimension`. Values are those of this project's own pages (left, right, tie, both_bad; so is `selected` of the Pairwise
tag) unless `labels` says what they mean. Of several annotations of one person on one task the latest counts; skipped
ones are no votes. A text area's words become that person's rationale. Left is the first item.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from warehouse.importers.comparison import (
    Comparison,
    Format,
    FormatOptions,
    Item,
    Outcome,
    Refused,
    Remark,
    RowError,
    SideLabel,
    each_row,
)
from warehouse.importers.fields import clean_path, moment_of, spelled, text_of
from warehouse.importers.source_row import SourceRow
from warehouse.importers.table import side_label
from warehouse.records import DIMENSIONS

_COLUMNS = {"prompt": "prompt", "first": "left", "second": "right", "condition": "", "label": ""}
_LABELS = {"left": "first", "right": "second", "tie": "tie", "both_bad": "both_bad"}
_UPLOADS = "/data/upload/"


def _item(data: SourceRow, column: str) -> Item:
    """Local-files and upload addresses are paths below the media folder; other addresses are names only."""
    address = text_of(data, column).strip()
    try:
        parts = urlsplit(address) if "?" in address or "://" in address else None
        local = parse_qs(parts.query).get("d") if parts else None
    except ValueError as error:
        raise RowError("missing_field", f"{column} is no address: {error}") from error
    if local:
        path = clean_path(local[0])
    elif _UPLOADS in address:
        path = clean_path(address.rpartition(_UPLOADS)[2])
    elif parts and parts.scheme:
        # Signatures and times of expiry are no part of a name.
        return Item(f"{parts.scheme}://{parts.netloc}{parts.path}")
    else:
        path = clean_path(address)
    return Item(path, path=path)


def _person(annotation: Mapping[str, Any]) -> str:
    """`user 7`: the number, not the address, of whoever completed an annotation."""
    by = annotation.get("completed_by")
    number = spelled(by.get("id") if isinstance(by, dict) else by)
    if not number:
        raise RowError("no_annotator", "completed_by is empty")
    return f"user {number}"


def _latest(row: SourceRow) -> dict[str, Mapping[str, Any]]:
    """Each person's last annotation that was not skipped."""
    annotations = row.fields.get("annotations")
    if not isinstance(annotations, list):
        raise RowError("missing_field", f"annotations is {type(annotations).__name__}, expected a list")
    given = [item for item in annotations if isinstance(item, dict)]
    given.sort(key=lambda item: (spelled(item.get("updated_at")), spelled(item.get("id")).rjust(20)))
    return {_person(item): item for item in given if not item.get("was_cancelled")}


def _answers(annotation: Mapping[str, Any], options: FormatOptions) -> tuple[dict[str, SideLabel], str]:
    """Labels by dimension, and the words of a text area."""
    labels: dict[str, SideLabel] = {}
    words = ""
    results = annotation.get("result")
    for result in results if isinstance(results, list) else []:
        value = result.get("value") if isinstance(result, dict) else None
        if not isinstance(value, dict):
            raise RowError("bad_label", f"a result of no value: {result!r}"[:300])
        control = spelled(result.get("from_name"))
        dimension = (options.dimension or "overall") if control == options.columns["label"] else control
        if "text" in value:
            words = " ".join(map(str, value["text"])) if isinstance(value["text"], list) else str(value["text"])
        elif dimension in DIMENSIONS and not (options.columns["label"] and control != options.columns["label"]):
            labels[dimension] = side_label(_choice(value), options.labels or _LABELS)
    return labels, words.strip()


def _choice(value: Mapping[str, Any]) -> object:
    chosen = value.get("choices", value.get("selected"))
    return chosen[0] if isinstance(chosen, list) and len(chosen) == 1 else chosen


def _task(row: SourceRow, options: FormatOptions) -> Iterator[Outcome]:
    data = row.fields.get("data")
    if not isinstance(data, dict):
        raise RowError("missing_field", f"data is {type(data).__name__}, expected an object")
    shown, columns = SourceRow(row.file, row.number, data), options.columns
    prompt, first, second = text_of(shown, columns["prompt"]), *(_item(shown, columns[n]) for n in ("first", "second"))
    condition = _item(shown, columns["condition"]) if columns["condition"] else None
    empty = True
    for rater, annotation in _latest(row).items():
        try:
            labels, words = _answers(annotation, options)
        except RowError as error:
            yield Refused(row, error.reason, f"annotation {spelled(annotation.get('id'))}: {error}")
            continue
        if not labels:
            continue
        empty = False
        verdict = labels["overall"] if "overall" in labels else next(iter(labels.values()))
        yield Comparison(
            rows=(row,),
            prompt=prompt,
            prompt_item=spelled(row.fields.get("id")) or row.location,
            first=first,
            second=second,
            labels=labels,
            rater=rater,
            sided=True,
            remark=Remark(rater, verdict, words, "person") if words else None,
            condition=condition,
            seconds=_seconds(annotation),
            created_at=moment_of(annotation.get("created_at")),
        )
    if empty:
        raise RowError("no_label", "nobody answered: every annotation was skipped, or holds no label")


def _seconds(annotation: Mapping[str, Any]) -> float | None:
    value = annotation.get("lead_time")
    return float(value) if isinstance(value, int | float) and abs(value) < 1e9 else None


LABEL_STUDIO = Format(
    each_row(_task),
    ("data", "annotations"),
    columns=_COLUMNS,
    has_labels=True,
    suffixes=(".json",),
    expected=("no_label",),
    hint="export the project as JSON, not JSON-MIN",
)

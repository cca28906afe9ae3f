"""Any table of pairs: the config names the columns and what the label's values mean.

Columns: prompt, first, second (paths, or bytes in Parquet), label, and where the table has them model_first,
model_second, rater, dimension, condition (the picture that was edited or animated) and name_first, name_second (what
identifies an item whose bytes are embedded). `labels` maps each value of the label column to first, second, tie or
both_bad.

Here stands what one value of each role means. Most values mean what they spell; `PLAIN` tells the database which ones,
so that only the others pass through these functions (spelling.py). The rows are read by told.py, and become records in
asked.py and ballots.py.
"""

from __future__ import annotations

from collections.abc import Mapping

from warehouse.importers.comparison import SIDE_LABELS, Format, RowError, SideLabel
from warehouse.importers.fields import clean_path, spelled
from warehouse.records import DIMENSIONS

ROLES = ("prompt", "first", "second", "label")
OPTIONAL = ("model_first", "model_second", "name_first", "name_second", "rater", "dimension", "condition")
MEDIA = ("first", "second", "condition")
_COLUMNS = {role: role for role in ROLES} | dict.fromkeys(OPTIONAL, "")
_SAME: dict[str, str] = {name: name for name in SIDE_LABELS}
# Printable ASCII without a backslash, from and to something that is no blank, point or slash.
_PATH = r"[!-\-0-\[\]-~]([ -\[\]-~]*[!-\-0-\[\]-~])?"
# SQL conditions on {x} under which a value stands for itself.
PLAIN = {
    "prompt": "strlen({x}) = length({x}) AND regexp_matches({x}, '[!-~]')",
    "path": f"regexp_full_match({{x}}, '{_PATH}') AND NOT contains({{x}}, '//') AND NOT contains({{x}}, '/.')",
    "name": "regexp_full_match({x}, '[!-~]([ -~]*[!-~])?') AND lower({x}) NOT IN ('nan', 'none', 'null')",
}


def side_label(value: object, meaning: Mapping[str, str]) -> SideLabel:
    """What a label's value means by the config's `labels`; by default the values speak for themselves."""
    given = value.strip() if isinstance(value, str) else spelled(value)
    found = (meaning or _SAME).get(given)
    if found is None:
        found = next((to for key, to in meaning.items() if key.casefold() == given.casefold()), None)
    for label in SIDE_LABELS:
        if label == found:
            return label
    raise RowError("bad_label", f"{value!r} is no label, expected one of {', '.join(meaning or _SAME)}"[:300])


def dimension_named(value: str) -> str:
    """One of DIMENSIONS; raises RowError."""
    if value.strip() not in DIMENSIONS:
        raise RowError("bad_dimension", f"{value!r}, expected one of {', '.join(DIMENSIONS)}"[:300])
    return value.strip()


def prompt_text(value: str) -> str | None:
    """The text as it stands, None where it is blank."""
    return value if value.strip() else None


def path_of(value: str) -> str | None:
    """One spelling of a path, None where it is blank; a web address names an item as well, and stays as it is."""
    given = value.strip()
    if not given:
        return None
    return given if "://" in given else clean_path(given)


def name_of(value: str) -> str | None:
    """What somebody or something is called; None for nothing, nan, none and null."""
    return spelled(value) or None


TABLE = Format(None, columns=_COLUMNS, paths=MEDIA, has_labels=True)

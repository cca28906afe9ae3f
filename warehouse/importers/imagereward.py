"""ImageReward (arXiv 2304.05977): generations of one prompt ranked by one annotator; rank 1 is best, ties allowed.

`imagereward-ranking`: the repository's data/test.json, a ranking a row. `imagerewarddb`: the dataset's metadata, an
image a row, in Parquet (metadata-SPLIT.parquet) or in the JSON file beside each folder of images; the rows of one
`prompt_id` are one ranking. Its ratings of alignment, fidelity and the whole stay unread: the rank is the label.
"""

from __future__ import annotations

from collections.abc import Iterator

from warehouse.importers.comparison import Format, FormatOptions, Item, Licence, Outcome, RowError, each_row
from warehouse.importers.fields import clean_path, name_of, number_of, spelled, text_of, texts_of
from warehouse.importers.ranking import Rating, Scored, grouped, pairs_of, ranked
from warehouse.importers.source_row import SourceRow

_LICENCE = Licence("Apache-2.0", "https://huggingface.co/datasets/THUDM/ImageRewardDB")


def _ranking(row: SourceRow, options: FormatOptions) -> Iterator[Outcome]:
    items = [Item(path, path=path) for path in map(clean_path, texts_of(row, "generations"))]
    prompt_item = spelled(row.fields.get("id")) or row.location
    scored = ranked(row, items, row.fields.get("ranking"), options.dimension or "overall")
    yield from pairs_of(scored, text_of(row, "prompt"), prompt_item)


def _image(row: SourceRow, options: FormatOptions) -> Rating:
    path = clean_path(text_of(row, "image_path"))
    # The JSON files name images relative to the dataset, and lie in the images' own folder.
    beside = f"{row.file.rpartition('/')[0]}/{path.rpartition('/')[2]}".lstrip("/")
    rank, amount = number_of(row, "rank"), spelled(row.fields.get("image_amount_in_total"))
    if rank < 1:
        raise RowError("bad_ranking", f"ranks count from 1, got {rank}")
    item = Item(path, path=path, elsewhere=(beside,))
    scored = Scored(row, item, {options.dimension or "overall": -rank})
    prompt_id = name_of(row, "prompt_id")
    return Rating(scored, text_of(row, "prompt"), prompt_id, group=prompt_id, of=int(amount) if amount.isdigit() else 0)


RANKING = Format(
    each_row(_ranking), ("prompt", "generations", "ranking"), suffixes=(".json", ".jsonl"), licence=_LICENCE
)
DATABASE = Format(
    grouped(_image),
    ("image_path", "prompt_id", "prompt", "rank"),
    paths=("image_path",),
    suffixes=(".parquet", ".json", ".jsonl"),
    licence=_LICENCE,
    expected=("nothing_to_compare",),
)

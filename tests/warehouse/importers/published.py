"""A small set of every preference format in its exact published layout, with media, and what its labels say.

No medium stands for two items, so that a shard's bytes say which item of the source they were. Columns are those of
the publishers' cards; what is not needed is there too where it could be mistaken for something.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.warehouse.importers import tfrecords
from tests.warehouse.preference_rows import clip, picture

# (dimension, the two items' bytes) -> the better one's bytes, None for ties and both-bad.
Truth = dict[tuple[str, frozenset[bytes]], bytes | None]


@dataclass(frozen=True)
class Published:
    """Files in `path`, what they say, and the counts that importing them answers."""

    path: Path
    counts: dict[str, int]
    truth: Truth
    options: Mapping[str, Any] = field(default_factory=dict)


def says(*judgements: tuple[str, bytes, bytes, str]) -> Truth:
    """Of (dimension, first, second, label)."""
    winners = {"first": 0, "second": 1}
    return {
        (dimension, frozenset((x, y))): (x, y)[winners[label]] if label in winners else None
        for dimension, x, y, label in judgements
    }


def put(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def put_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1), encoding="utf-8")


def put_parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)


def hpdv2(folder: Path) -> Published:
    """train/ and test/ number their images alike; benchmark/ holds prompts."""
    a, b, c, d, e, f, g, h, i = (picture(100 + n) for n in range(9))
    put(folder, {"train/1.png": a, "train/2.png": b, "train/3.png": c, "train/4.png": d, "test/1.png": e,
                 "test/2.png": f, "test/3.png": g, "test/4.png": h, "test/5.png": i})  # fmt: skip
    put_json(folder / "train.json", [
        {"prompt": "hpd dog", "file_path": ["1.png", "2.png"], "human_preference": [0, 1], "user_hash": "u1"},
        {"prompt": "hpd cat", "image_path": ["3.png", "4.png"], "human_preference": [1, 0]},
    ])  # fmt: skip
    put_json(folder / "test.json", [
        {"prompt": "hpd owl", "image_path": ["1.png", "2.png", "3.png"], "rank": [1, 2, 3], "raw_annotations": [
            {"rank": [2, 1, 3], "user_hash": "u2"}, {"rank": [1, 2, 3], "user_hash": "u3"},
            {"rank": [1, 2, 3], "user_hash": "u4"}]},
        {"prompt": "hpd fox", "image_path": ["4.png", "5.png"], "rank": [1.5, 1.5]},
    ])  # fmt: skip
    put_json(folder / "benchmark" / "anime.json", ["a prompt of the benchmark"])
    truth = says(("overall", a, b, "second"), ("overall", c, d, "first"), ("overall", e, f, "first"),
                 ("overall", e, g, "first"), ("overall", f, g, "first"), ("overall", h, i, "tie"))  # fmt: skip
    return Published(folder, {"read": 4, "prompts": 4, "pairs": 6, "votes": 6, "ties": 1, "candidates": 9}, truth)


def hpdv3(folder: Path) -> Published:
    """path1 is always the preferred one; confidence and choice_dist may be null."""
    pictures = {f"images/{n}.png": picture(120 + n) for n in range(24)}
    put(folder, pictures)
    rows = [{"prompt": f"hpd3 {n}", "path1": f"images/{2 * n}.png", "path2": f"images/{2 * n + 1}.png",
             "model1": "flux", "model2": "kolors", "choice_dist": [9, 1] if n else None,
             "confidence": 0.97 if n else None} for n in range(12)]  # fmt: skip
    put_json(folder / "train.json", rows)
    names = list(pictures.values())
    truth = says(*(("overall", names[2 * n], names[2 * n + 1], "first") for n in range(12)))
    return Published(folder, {"read": 12, "pairs": 12, "votes": 12, "ties": 0, "candidates": 24}, truth)


def pickapic(folder: Path) -> Published:
    a, b, c, d, e, f = (picture(150 + n) for n in range(6))
    base = {"are_different": True, "created_at": "2023-02-01T10:00:00", "has_label": True, "image_0_url": "https://x/0",
            "image_1_url": "https://x/1", "model_0": "sdxl", "model_1": "dreamlike", "user_id": 7,
            "num_example_per_prompt": 1, "__index_level_0__": 0}  # fmt: skip

    def row(n: int, x: bytes, y: bytes, label: tuple[float, float], best: str, **more: Any) -> dict[str, Any]:
        return base | {"caption": f"pick {n}", "image_0_uid": f"{n}-0", "image_1_uid": f"{n}-1", "jpg_0": x, "jpg_1": y,
                       "label_0": label[0], "label_1": label[1], "best_image_uid": best, "ranking_id": n} | more

    put_parquet(folder / "train-00000-of-00001.parquet", [
        row(1, a, b, (1.0, 0.0), "1-0"), row(2, c, d, (0.5, 0.5), "tie"),
        row(3, e, f, (0.0, 1.0), "3-1", user_id=8),
        row(4, picture(156), picture(157), (0.0, 0.0), "", has_label=False),
    ])  # fmt: skip
    truth = says(("overall", a, b, "first"), ("overall", c, d, "tie"), ("overall", e, f, "second"))
    counts = {"read": 4, "pairs": 3, "votes": 3, "ties": 1, "rejects": 1, "media_absent": 0}
    return Published(folder, counts, truth, {"licence": "research-only", "non_commercial": True})


def imagerewarddb(folder: Path) -> Published:
    """Rows of two prompts alternate; the second has equal ranks. The JSON beside the images says the same again."""
    a, b, c, d, e = (picture(170 + n) for n in range(5))
    put(folder, {f"images/train/train_1/{n}.png": data for n, data in enumerate((a, b, c, d, e))})

    def row(n: int, prompt: str, rank: int, of: int) -> dict[str, Any]:
        return {"image_path": f"images/train/train_1/{n}.png", "prompt_id": prompt, "prompt": f"reward {prompt}",
                "classification": "People", "image_amount_in_total": of, "rank": rank, "overall_rating": 5,
                "image_text_alignment_rating": 4, "fidelity_rating": 6}  # fmt: skip

    rows = [row(0, "p1", 2, 3), row(3, "p2", 1, 2), row(1, "p1", 1, 3), row(4, "p2", 1, 2), row(2, "p1", 3, 3)]
    put_parquet(folder / "metadata-train.parquet", rows)
    put_json(folder / "images/train/train_1/train_1.json",
             [{name: value for name, value in item.items() if name != "classification"} for item in rows])
    truth = says(("overall", a, b, "second"), ("overall", a, c, "first"), ("overall", b, c, "first"),
                 ("overall", d, e, "tie"))  # fmt: skip
    counts = {"read": 10, "prompts": 2, "pairs": 4, "votes": 4, "ties": 1, "already_there": 5}
    return Published(folder, counts, truth)


def imagereward_ranking(folder: Path) -> Published:
    a, b, c = (picture(180 + n) for n in range(3))
    put(folder, {f"part-1/images/{n}.png": data for n, data in enumerate((a, b, c))})
    put_json(folder / "test.json", [{"id": "005658-0040", "prompt": "a ranking", "ranking": [3, 1, 1],
                                     "generations": [f"./part-1/images/{n}.png" for n in range(3)]}])  # fmt: skip
    truth = says(("overall", a, b, "second"), ("overall", a, c, "second"), ("overall", b, c, "tie"))
    return Published(folder, {"read": 1, "pairs": 3, "votes": 3, "ties": 1}, truth)


def videofeedback(folder: Path) -> Published:
    """Columns with spaces; most clips are the only one of their prompt, which is no fault of the file."""
    a, b, c = (clip(200 + n) for n in range(3))
    put(folder, {"p01.mp4": a, "p02.mp4": b, "p03.mp4": c})

    def row(name: str, prompt: str, scores: tuple[int, ...]) -> dict[str, Any]:
        names = ("visual quality", "temporal consistency", "dynamic degree", "text-to-video alignment",
                 "factual consistency")  # fmt: skip
        return {"id": name, "images": [f"{name}_00.jpg"], "text prompt": prompt, "video link": f"https://x/{name}.mp4",
                **dict(zip(names, scores, strict=True)), "conversations": [{"from": "human", "value": "?"}]}

    put_json(folder / "data_annotated.json", [row("p01", "feedback", (3, 2, 4, 1, 1)),
                                              row("p02", "feedback", (3, 4, 1, 2, 4)),
                                              *(row(f"p0{n}", f"alone {n}", (1, 1, 1, 1, 1)) for n in (3, 4, 5))])
    truth = says(("visual_quality", a, b, "tie"), ("motion_quality", a, b, "second"),
                 ("text_alignment", a, b, "second"))  # fmt: skip
    return Published(folder, {"read": 5, "pairs": 1, "votes": 3, "ties": 1, "rejects": 3}, truth)


def visionreward_image(folder: Path) -> Published:
    """Pictures lie in the table; safety does not count."""
    a, b = picture(220), picture(221)

    def row(name: str, data: bytes, safety: int, **aspects: int) -> dict[str, Any]:
        annotation = {"symmetry": 0, "richness": 1, "color aesthetic": 1, "detail realism": -1} | aspects
        return {"image": {"bytes": data, "path": None}, "internal_id": name, "prompt": "vision", "url": "https://x",
                "annotation": annotation | {"safety": safety}, "meta_result": [1, 0], "meta_mask": [1, 1]}

    put_parquet(folder / "data" / "train-00000-of-00010.parquet", [row("i1", a, 1), row("i2", b, -3, richness=2)])
    return Published(folder, {"read": 2, "pairs": 1, "votes": 1}, says(("visual_quality", a, b, "second")))


def _arena(folder: Path, medium: str, make: Callable[[int], bytes], start: int, **columns: Any) -> Published:
    media = [make(start + n) for n in range(8)]
    votes = ["leftvote", "rightvote", "tievote", "bothbad_vote"]
    rows = [{f"left_{medium}": {"bytes": media[2 * n], "path": None}, "left_model": "SDXL",
             f"right_{medium}": {"bytes": media[2 * n + 1], "path": None}, "right_model": "PixArt",
             "vote_type": vote} | {name: value(n) for name, value in columns.items()}
            for n, vote in enumerate(votes)]  # fmt: skip
    put_parquet(folder / "test_v1-00000-of-00001.parquet", rows)
    labels = ("first", "second", "tie", "both_bad")
    truth = says(*(("overall", media[2 * n], media[2 * n + 1], label) for n, label in enumerate(labels)))
    return Published(folder, {"read": 4, "pairs": 4, "votes": 4, "ties": 1, "media_absent": 0}, truth)


def genai_bench_image(folder: Path) -> Published:
    return _arena(folder, "image", picture, 240, prompt=lambda n: f"arena image {n}")


def genai_bench_video(folder: Path) -> Published:
    return _arena(folder, "video", clip, 260, prompt=lambda n: f"arena clip {n}")


def genai_bench_edit(folder: Path) -> Published:
    return _arena(folder, "output_image", picture, 280,
                  source_prompt=lambda n: "before", target_prompt=lambda n: "after",
                  instruct_prompt=lambda n: f"make it red {n}",
                  source_image=lambda n: {"bytes": picture(295 + n), "path": None})  # fmt: skip


def videogen_rewardbench(folder: Path) -> Published:
    """Overall is missing once; a prompt without quotation marks holds a stray carriage return; a row stands twice."""
    a, b, c, d = (clip(300 + n) for n in range(4))
    put(folder, {"videos/a.mp4": a, "videos/b.mp4": b, "videos/c.mp4": c, "videos/d.mp4": d})
    header = "path_A,path_B,A_model,B_model,prompt,VQ,MQ,TA,Overall,fps_A,num_frames_A,fps_B,num_frames_B\n"
    one = "videos/a.mp4,./videos/b.mp4,kling,luma,a dog\r runs,A,B,same,B,8.0,4,8.0,4\n"
    (folder / "videogen-rewardbench.csv").write_bytes(
        (header + one + one + "videos/c.mp4,videos/d.mp4,kling,luma,a cat,B,B,A,,8.0,4,8.0,4\n").encode()
    )
    truth = says(("visual_quality", a, b, "first"), ("motion_quality", a, b, "second"),
                 ("text_alignment", a, b, "tie"), ("overall", a, b, "second"), ("visual_quality", c, d, "second"),
                 ("motion_quality", c, d, "second"), ("text_alignment", c, d, "first"))  # fmt: skip
    return Published(folder, {"read": 3, "duplicates": 1, "pairs": 2, "votes": 7, "ties": 1}, truth)


def richhf(folder: Path) -> Published:
    """Scores only; the prompts stand in Pick-a-Pic's own rows."""
    a, b = picture(320), picture(321)
    put(folder, {"aa-1.png": a, "bb-2.png": b})
    scores = {"artifact_score": 0.5, "artifact_map": b"\x00" * 9000, "prompt_misalignment_label": "0 1"}
    tfrecords.write(
        folder / "dev.tfrecord",
        {"filename": "train/aa-1.png", "aesthetics_score": 0.75, "misalignment_score": 0.5, "overall_score": 0.5}
        | scores,
        {"filename": "train/bb-2.png", "aesthetics_score": 0.25, "misalignment_score": 1.0, "overall_score": 0.5}
        | scores,
        {"filename": "train/cc-3.png", "aesthetics_score": 0.25, "misalignment_score": 1.0, "overall_score": 0.5},
    )
    prompts = folder / "pickapic" / "no_images.parquet"
    put_parquet(prompts, [{"caption": "rich dog", "image_0_uid": "aa-1", "image_1_uid": "bb-2"}])
    truth = says(("visual_quality", a, b, "first"), ("text_alignment", a, b, "second"), ("overall", a, b, "tie"))
    counts = {"read": 3, "pairs": 1, "votes": 3, "ties": 1, "rejects": 1}
    return Published(folder, counts, truth, {"prompts": str(prompts)})


def likert_csv(folder: Path) -> Published:
    """TIFA-160's columns and one more for the picture; one rater's scores are never held against another's."""
    a, b = picture(330), picture(331)
    put(folder, {"a.png": a, "b.png": b})
    header = ["dsg_prompt_split", "t2i_model", "item_id", "source_id", "worker_id", "question", "answer", "file"]
    rows = [["tifa160", model, "tifa160_1", "p_1", worker, "How consistent?", score, file]
            for worker, scores in (("11", "53"), ("12", "21"), ("13", "44"))
            for (model, file), score in zip((("mini", "a.png"), ("sd", "b.png")), scores, strict=True)]  # fmt: skip
    with (folder / "anns.csv").open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    truth = says(("text_alignment", a, b, "first"))
    return Published(folder, {"read": 6, "pairs": 1, "votes": 3, "ties": 1}, truth, {"columns": {"path": "file"}})


def label_studio(folder: Path) -> Published:
    """An export with an edit, a skip, a flag, and a rationale; one medium's address is that of local files."""
    a, b = picture(340), picture(341)
    put(folder, {"pics/a.png": a, "pics/b.png": b})

    def said(number: int, by: object, at: str, cancelled: bool = False, **answers: str) -> dict[str, Any]:
        result = [{"from_name": name, "to_name": "prompt", "type": "choices", "value": {"choices": [choice]}}
                  for name, choice in answers.items() if name != "rationale"]  # fmt: skip
        if "rationale" in answers:
            result.append({"from_name": "rationale", "type": "textarea", "value": {"text": [answers["rationale"]]}})
        return {"id": number, "completed_by": by, "was_cancelled": cancelled, "result": result, "lead_time": 2.5,
                "created_at": "2026-01-01T10:00:00Z", "updated_at": at}  # fmt: skip

    person = {"id": 2, "email": "two@example.org", "first_name": "", "last_name": ""}
    put_json(folder / "project-1.json", [
        {"id": 9, "data": {"prompt": "studio dog", "left": "/data/local-files/?d=pics/a.png", "right": "pics/b.png"},
         "annotations": [
             said(21, 1, "2026-01-01T10:00:00Z", overall="left", text_alignment="tie"),
             said(22, 1, "2026-01-02T10:00:00Z", overall="right", text_alignment="tie", rationale="sharper"),
             said(23, person, "2026-01-01T10:00:00Z", overall="right", flag="broken"),
             said(24, 3, "2026-01-01T10:00:00Z", cancelled=True)], "predictions": []},
        {"id": 10, "data": {"prompt": "studio cat", "left": "pics/a.png", "right": "pics/b.png"}, "annotations": []},
    ])  # fmt: skip
    truth = says(("overall", a, b, "second"), ("text_alignment", a, b, "tie"))
    return Published(folder, {"read": 2, "pairs": 1, "votes": 3, "ties": 1, "rejects": 1}, truth)


def table(folder: Path) -> Published:
    """Parquet with pictures inside, raters, and labels that are numbers."""
    a, b = picture(350), picture(351)
    rows = [{"text": "table dog", "img1": a, "img2": b, "uid1": "x", "uid2": "y", "won": won, "who": who}
            for won, who in ((1.0, 5), (2.0, 6), (1.0, 7))]  # fmt: skip
    put_parquet(folder / "pairs.parquet", rows)
    columns = {"prompt": "text", "first": "img1", "second": "img2", "name_first": "uid1", "name_second": "uid2",
               "label": "won", "rater": "who"}  # fmt: skip
    options = {"columns": columns, "labels": {1: "first", 2: "second"}}
    return Published(folder, {"read": 3, "pairs": 1, "votes": 3, "ties": 0}, says(("overall", a, b, "first")), options)


WRITERS: dict[str, Callable[[Path], Published]] = {
    "genai-bench-edit": genai_bench_edit,
    "genai-bench-image": genai_bench_image,
    "genai-bench-video": genai_bench_video,
    "hpdv2": hpdv2,
    "hpdv3": hpdv3,
    "imagereward-ranking": imagereward_ranking,
    "imagerewarddb": imagerewarddb,
    "label-studio": label_studio,
    "likert-csv": likert_csv,
    "pickapic": pickapic,
    "richhf": richhf,
    "table": table,
    "videofeedback": videofeedback,
    "videogen-rewardbench": videogen_rewardbench,
    "visionreward-image": visionreward_image,
}

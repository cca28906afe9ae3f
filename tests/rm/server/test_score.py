from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from rm.reward_model import PairItem, RewardModel
from tests.rm import world
from tests.rm.server.conftest import Start, item, png
from warehouse.media.encode import encode_mp4
from warehouse.records import prompt_row


def scores(answer: Any) -> list[float]:
    return [each["score"] for each in answer.json()["results"]]


def test_scores_are_the_models_own(client: TestClient, served_model: RewardModel) -> None:
    """Groups of one reference go through the shared prefix, others do not: both say what the plain pass says."""
    items = [item(n, 0) for n in range(1, 7)] + [item(8, 9), item(9, 8)]
    answer = client.post("/score", json={"items": items}).json()
    pictures = {n: world.frames(n) for n in range(10)}
    pairs = [(0, n) for n in range(1, 7)] + [(9, 8), (8, 9)]
    wanted = served_model.score_pairs([PairItem("a red circle", pictures[r], pictures[c], "t2i", "overall")
                                       for r, c in pairs])
    assert answer["model_id"] == "tiny" and np.ptp(wanted) > 1e-3
    assert [each["score"] for each in answer["results"]] == pytest.approx(wanted, abs=1e-4)


def test_references_are_kept_by_prompt(client: TestClient) -> None:
    """By id or by words, as they read; the score is the mean over references; no references forget the prompt."""
    kept = {"prompt": "a red circle", "references": [{"base64": png(1)}, {"base64": png(2)}]}
    answer = client.post("/references", json={"items": [kept]}).json()["results"][0]
    assert answer == {"prompt_id": prompt_row("a red circle", "t2i", "image", "x")["prompt_id"], "references": 2}
    each = scores(client.post("/score", json={"items": [item(5, 1), item(5, 2)]}))
    by_id = {"prompt_id": answer["prompt_id"], "candidate": {"base64": png(5)}}
    found = client.post("/score", json={"items": [item(5), by_id, item(5, prompt="A  RED circle")]}).json()["results"]
    assert len(found[2]["by_reference"]) == 2
    for one in found[:2]:
        assert one["score"] == pytest.approx(np.mean(each), abs=1e-5)
        assert one["by_reference"] == pytest.approx(each, abs=1e-5)
    assert client.get("/models").json()["models"][0]["kept_prompts"] == 1
    client.post("/references", json={"items": [{"prompt": "a red circle"}]})
    assert client.post("/score", json={"items": [by_id]}).json()["results"][0]["error"]["type"] == "NotFoundError"


def test_one_bad_item_spoils_no_other(client: TestClient) -> None:
    bad: list[tuple[Any, str, str]] = [
        ({"prompt": "x"}, "InvalidInputError", "candidate: Field required"),
        (item(1), "NotFoundError", "no references are kept"),
        (item(1, 2, candidate={"base64": "???"}), "InvalidInputError", "not base64"),
        (item(1, 2, candidate={"base64": base64.b64encode(b"no picture").decode()}), "MediaError", "neither a picture"),
        (item(1, 2, candidate={"base64": png(1)[:400]}), "MediaError", ""),
        (item(1, 2, candidate={"media_id": "../../etc/passwd"}), "InvalidInputError", "64 hex digits"),
        (item(1, 2, candidate={"media_id": "0" * 64}), "NotFoundError", "no media"),
        (item(1, 2, candidate={"url": "http://example.org/a.png"}), "ConfigError", "fetches no URLs"),
        (item(1, 2, candidate={"base64": png(1), "url": "http://example.org/"}), "InvalidInputError", "one of"),
        (item(1, 2, dimension="taste"), "ConfigError", "no instruction for t2i/taste"),
        (item(1, 2, prompt="red " * 9_000), "InvalidInputError", "tokens"),
        (item(1, 2, prompt=""), "InvalidInputError", "needs its prompt"),
        ("nonsense", "InvalidInputError", ""), (None, "InvalidInputError", "")]
    items = [item(1, 2), *(each for each, _, _ in bad), item(3, 2)]
    results = client.post("/score", json={"items": items}).json()["results"]
    assert "score" in results[0] and "score" in results[-1]
    for result, (raw, kind, said) in zip(results[1:-1], bad, strict=True):
        assert set(result) == {"error"}, raw
        assert result["error"]["type"] == kind and said in result["error"]["message"], result


def test_a_clip_is_a_file_or_frames_with_times(client: TestClient, served_model: RewardModel) -> None:
    clips = [world.frames(n, 6) for n in (1, 2)]
    listed = [{"frames": [png_of(picture) for picture in clip.pixels], "times_s": list(clip.times_s)} for clip in clips]
    asked = {"prompt": "a red circle", "task": "t2v", "reference": listed[0], "candidate": listed[1]}
    file = {"base64": base64.b64encode(encode_mp4(clips[1].pixels, 4.0)).decode()}
    timeless = {**asked, "candidate": {"frames": listed[1]["frames"]}}
    found = client.post("/score", json={"items": [asked, {**asked, "candidate": file}, timeless]}).json()["results"]
    wanted = served_model.score_pairs([PairItem("a red circle", *clips, "t2v", "overall")])[0]
    assert found[0]["score"] == pytest.approx(wanted, abs=1e-4)
    assert "score" in found[1] and "times_s" in found[2]["error"]["message"]


def png_of(picture: Any) -> str:
    from warehouse.media.encode import encode_png

    return base64.b64encode(encode_png(picture)).decode()


def test_media_of_the_warehouse_go_by_id(start: Start) -> None:
    server = start()
    with TestClient(server.doorman) as client:
        info = server.intake._store.put(base64.b64decode(png(4)))
        by_id, by_bytes = item(4, 2, candidate={"media_id": info.media_id}), item(4, 2)
        one, other = scores(client.post("/score", json={"items": [by_id, by_bytes]}))
    assert one == pytest.approx(other, abs=1e-6)


def test_a_score_that_is_no_number_is_an_error(served_model: RewardModel, start: Start) -> None:
    class Broken:
        """Fails on bright candidates, and knows no number for dark ones."""

        card, form, max_frames, model_id = served_model.card, served_model.form, 3, "broken"

        def score_pairs(self, items: Any, batch: int = 64) -> Any:
            if any(each.candidate.pixels.mean() > 200 for each in items):
                raise RuntimeError("too bright")
            return np.array([0.25 if each.candidate.pixels.mean() > 50 else np.nan for each in items], np.float32)

    def flat(level: int) -> dict[str, Any]:
        return {"base64": png_of(np.full((8, 8, 3), level, np.uint8))}

    with TestClient(start(model=Broken()).doorman) as client:
        items = [item(1, 2, candidate=flat(level)) for level in (100, 250, 0, 90)]
        found = client.post("/score", json={"items": items}).json()["results"]
    assert found[0]["score"] == found[3]["score"] == 0.25
    assert "too bright" in found[1]["error"]["message"] and "nan" in found[2]["error"]["message"]

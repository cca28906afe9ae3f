from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from rm.reward_model import RewardModel
from tests.rm.server.conftest import Start, item, png


class Slow:
    """A model that answers when it is told to."""

    def __init__(self, like: RewardModel) -> None:
        self.card, self.form, self.max_frames, self.model_id = like.card, like.form, 3, "slow"
        self.entered, self.go = threading.Event(), threading.Event()

    def score_pairs(self, items: Any, batch: int = 64) -> Any:
        self.entered.set()
        self.go.wait(20)
        return np.full(len(items), 0.5, np.float32)


def test_only_the_token_opens(start: Start) -> None:
    with TestClient(start(token="secret").doorman) as client:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "secret"}):
            refused = client.post("/score", json={"items": []}, headers=headers)
            assert refused.status_code == 401 and refused.headers["www-authenticate"] == "Bearer"
            assert client.get("/models", headers=headers).status_code == 401
        assert client.get("/health").status_code == client.get("/metrics").status_code == 200
        allowed = client.post("/score", json={"items": []}, headers={"Authorization": "Bearer secret"})
        assert allowed.status_code == 200 and allowed.json()["results"] == []


def test_sizes_are_limited(start: Start) -> None:
    server = start(body_bytes=40_000, media_bytes=4_000, pixels=3_000, frames=2, items=4, reference_bytes=4_000)
    with TestClient(server.doorman) as client:
        assert client.post("/score", content=b"x" * 40_001).status_code == 413
        announced_less = client.post("/score", content=iter([b"x" * 18_000] * 3))
        assert announced_less.status_code == 413
        assert client.post("/score", json={"items": [None] * 5}).status_code == 422
        many = {"frames": [png(1, 8)] * 3, "times_s": [0, 1, 2]}
        items = [item(1, 2, candidate={"base64": png(1, 64)}), item(1, 2, candidate={"base64": png(1, 40)}),
                 item(1, 2, candidate=many), item(1, 2)]
        results = client.post("/score", json={"items": items[:1]}).json()["results"]
        results += client.post("/score", json={"items": items[1:]}).json()["results"]
        said = [each.get("error", {}).get("message", "") for each in results]
        assert "bytes are accepted" in said[0] and "bytes" in said[1] and "more than 2 frames" in said[2]
        assert "score" in results[3]
        kept = [{"prompt": f"a red circle {n}", "references": [{"base64": png(n)}]} for n in range(2)]
        kept_answers = client.post("/references", json={"items": kept}).json()["results"]
        fitted, refused = sorted(kept_answers, key=lambda answer: "error" in answer)
        assert fitted["references"] == 1 and "take more than" in refused["error"]["message"]


def test_large_pictures_are_refused_from_their_header(start: Start) -> None:
    with TestClient(start(pixels=1_000).doorman) as client:
        found = client.post("/score", json={"items": [item(1, 2, candidate={"base64": png(1, 32)})]}).json()["results"]
    assert found[0]["error"]["type"] == "MediaError" and "1000" in found[0]["error"]["message"]


def test_a_full_queue_answers_429_and_others_are_served(served_model: RewardModel, start: Start) -> None:
    model = Slow(served_model)
    with TestClient(start(model=model, queue_items=3, wait_ms=0).doorman) as client:
        answers: list[Any] = []
        first = threading.Thread(target=lambda: answers.append(
            client.post("/score", json={"items": [item(1, 2), item(3, 4)]})))
        first.start()
        assert model.entered.wait(20)
        busy = client.post("/score", json={"items": [item(5, 6), item(7, 8)]})
        assert busy.status_code == 429 and int(busy.headers["retry-after"]) >= 1
        assert busy.json()["error"]["type"] == "BusyError"
        assert client.post("/score", json={"items": [item(1, 2)] * 4}).status_code == 422
        assert client.get("/health").status_code == 200
        model.go.set()
        first.join(20)
        assert [each["score"] for each in answers[0].json()["results"]] == [0.5, 0.5]
        assert "score" in client.post("/score", json={"items": [item(5, 6)]}).json()["results"][0]


def test_too_many_open_requests_are_told_to_come_again(served_model: RewardModel, start: Start) -> None:
    model = Slow(served_model)
    with TestClient(start(model=model, requests=1).doorman) as client:
        first = threading.Thread(target=lambda: client.post("/score", json={"items": [item(1, 2)]}))
        first.start()
        assert model.entered.wait(20)
        busy = client.post("/score", json={"items": []})
        assert busy.status_code == 429 and busy.headers["retry-after"] == "1"
        model.go.set()
        first.join(20)


def test_what_takes_too_long_is_an_error(served_model: RewardModel, start: Start) -> None:
    model = Slow(served_model)
    with TestClient(start(model=model, timeout_s=0.3).doorman) as client:
        found = client.post("/score", json={"items": [item(1, 2)]}).json()["results"]
        assert found[0]["error"]["type"] == "BackendError" and "no score after" in found[0]["error"]["message"]
        model.go.set()
        assert "score" in client.post("/score", json={"items": [item(1, 2)]}).json()["results"][0]


def test_metrics_count_what_happened(start: Start) -> None:
    with TestClient(start(token="t").doorman) as client:
        headers = {"Authorization": "Bearer t"}
        client.post("/score", json={"items": [item(1, 2), item(1), item(3, 2)]}, headers=headers)
        client.post("/score", json={"items": []})
        client.get("/nowhere", headers=headers)
        text = client.get("/metrics").text
    for line in ('rm_requests_total{path="/score",status="200"} 1.0',
                 'rm_requests_total{path="/score",status="401"} 1.0',
                 'rm_requests_total{path="other",status="404"} 1.0', 'rm_items_total{outcome="scored"} 2.0',
                 'rm_items_total{outcome="NotFoundError"} 1.0', "rm_batch_items_count 1.0", "rm_waiting_items 0.0"):
        assert line in text, line
    with pytest.raises(AssertionError):
        assert "secret" in text

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from starlette.testclient import TestClient

from alignment.reward import Goal, ReferenceReward
from rm.context import Frames
from rm.reward_model import PairItem, RewardModel
from rm.scorers import load_scorer
from rm.scorers.as_reward import AsReward
from rm.scorers.client import RewardClient
from tests.rm import world
from tests.rm.server.conftest import Start, item, live, png
from warehouse.errors import BackendError, ConfigError

PROMPT = "a red circle"


def test_a_served_model_is_the_model(start: Start, served_model: RewardModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a scorer (the gate, a held-out reward) and as alignment's reward; the token comes from the environment."""
    pictures, clips = [world.frames(n) for n in range(4)], [world.frames(n, 6) for n in (5, 6)]
    items = [PairItem(PROMPT, pictures[0], each, "t2i", "overall") for each in pictures[1:]]
    items.append(PairItem(PROMPT, *clips, "t2v", "overall"))
    with live(start(token="secret")) as url:
        with pytest.raises(ConfigError, match="401"):
            load_scorer("rm.scorers.client:RewardClient", {"url": url}).score_pairs(items)
        monkeypatch.setenv("REWARDDANCE_TOKEN", "secret")
        client = load_scorer("rm.scorers.client:RewardClient", {"url": url})
        assert isinstance(client, RewardClient) and (client.model_id, client.max_frames) == ("tiny", 3)
        assert client.score_pairs(items, batch=3) == pytest.approx(served_model.score_pairs(items), abs=1e-4)
        _aligns(client, served_model)
        client.keep(PROMPT, [pictures[0]], "t2i")
        found = client.score_candidates([PROMPT] * 3, pictures[1:], "t2i", "overall")
        assert found == pytest.approx(served_model.score_pairs(items[:3]), abs=1e-4)
        with pytest.raises(BackendError, match="no references are kept"):
            client.score_candidates(["two red circle"], pictures[:1], "t2i", "overall")


def _aligns(client: RewardClient, model: RewardModel) -> None:
    """Rewards of samples in 8 bits, which is what travels, are those of the model; a gradient is refused."""
    goal = Goal("p", PROMPT, (world.frames(0),))
    samples = torch.from_numpy(np.stack([world.frames(n).pixels for n in (1, 2)])).float() / 255
    with torch.no_grad():
        served, local = (ReferenceReward(each, "t2i", "overall")([goal] * 2, samples)
                         for each in (AsReward(client), model))
    assert served.tolist() == pytest.approx(local.tolist(), abs=1e-4)
    with pytest.raises(ConfigError, match="no gradient"):
        AsReward(client).reward([PROMPT] * 2, [goal.references[0]] * 2, samples.requires_grad_(), "t2i", "overall")


def test_a_busy_server_is_asked_again(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    server = start()
    refusals = iter([True, True])
    room = server.batcher.room

    def sometimes(items: int) -> Any:
        from rm.server.batcher import BusyError

        if next(refusals, False):
            raise BusyError(1)
        return room(items)

    monkeypatch.setattr(server.batcher, "room", sometimes)
    waits: list[float] = []
    monkeypatch.setattr("rm.scorers.http.time.sleep", waits.append)
    with live(server) as url:
        found = RewardClient(url).score_pairs([PairItem(PROMPT, world.frames(1), world.frames(2), "t2i", "overall")])
    assert waits == [1.0, 1.0] and 0 < found[0] < 1


def test_unirls_schema_is_answered_as_its_service_does(client: TestClient) -> None:
    client.post("/references", json={"items": [{"prompt": PROMPT, "references": [{"base64": png(1)}]}]})
    one = {"history": [{"text": PROMPT, "image_b64": png(2)}], "required_rewards": ["overall"], "metadata": None}
    brings = {"history": [{"text": PROMPT, "image_b64": png(3)}, {"text": PROMPT, "image_b64": png(2)}],
              "required_rewards": ["overall"]}
    path = {"history": [{"text": PROMPT, "video_path": "/etc/passwd"}], "required_rewards": ["overall"]}
    unknown = {"history": [{"text": "two red circle", "image_b64": png(2)}], "required_rewards": ["overall"]}
    answer = client.post("/score", json={"requests": [one, brings, path, unknown]}).json()
    ours = client.post("/score", json={"items": [item(2, 1), item(2, 3)]}).json()["results"]
    assert [answer["results"][n]["overall"]["p_yes"] for n in (0, 1)] == pytest.approx([o["score"] for o in ours])
    assert answer["results"][2:] == [{}, {}] and answer["errors"][:2] == [{}, {}]
    assert "video_path" in answer["errors"][2]["overall"] and "no references" in answer["errors"][3]["overall"]
    refused = client.post("/score", json={"requests": [{**one, "required_rewards": ["beauty"]}]})
    assert refused.status_code == 400 and "unknown reward: beauty" in refused.json()["detail"]
    assert client.get("/rewards").json() == {"rewards": ["overall"]}
    assert client.get("/health").json()["rewards"] == {"overall": ["ready"]}


def test_flow_factorys_schema_never_gets_a_made_up_number(client: TestClient) -> None:
    client.post("/references", json={"items": [{"prompt": PROMPT, "references": [{"base64": png(1)}]}]})
    body = {"prompt": [PROMPT] * 2, "image": [png(2), png(3)], "video": None, "condition_images": None,
            "condition_videos": None}
    ours = client.post("/score", json={"items": [item(2, 1), item(3, 1)]}).json()["results"]
    assert client.post("/compute", json=body).json()["rewards"] == pytest.approx([each["score"] for each in ours])
    for broken, said in (({**body, "image": [png(2), "AAAA"]}, "1: "), ({**body, "image": [png(2)]}, "2 prompts"),
                         ({**body, "image": None, "video": [[png(2)]]}, "without times")):
        refused = client.post("/compute", json=broken)
        assert refused.status_code == 422 and said in refused.json()["detail"]


def test_frames_that_do_not_fit_are_named(start: Start) -> None:
    with live(start()) as url:
        client = RewardClient(url)
        reference = Frames(world.frames(1, 3).pixels, (0.0, 0.5, 1.0))
        with pytest.raises(Exception, match="candidate of 2 frames"):
            AsReward(client).reward([PROMPT], [reference], torch.zeros(1, 2, 32, 32, 3), "t2v", "overall")

"""The stages over a real warehouse, with a small random reward model: references, alignment with kills, search."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alignment import align, references, search
from alignment.references import PromptComparer, read_goals
from alignment.tournament import round_robin
from generation import candidates, prompts
from rm.model_folder import CARD_FILE, ModelCard
from rm.reward_model import PairItem, frames_of, load_reward_model
from tests.alignment.worlds import tiny_policy
from tests.rm.servers import rewards, served
from tests.rm.world import TEMPLATE, checkpoint
from warehouse import Warehouse, open_warehouse
from warehouse.errors import ConfigError
from warehouse.hashing import content_id
from warehouse.stage import on_progress

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class World:
    """A warehouse with candidates of a tiny policy and references, and what made them."""

    warehouse: Warehouse
    weights: Path
    generator_id: str
    rank_key: str

    def config(self, **changes: Any) -> align.AlignConfig:
        options: dict[str, Any] = {
            "name": "tiny", "policy": "simulation.policy:image_policy", "references": self.rank_key,
            "policy_options": {"weights": str(self.weights), "steps": 3, "guidance": 1.0}, "reward_model": "judge",
            "steps": 6, "prompts_per_step": 2, "group": 2, "lora_rank": 2, "gradient_steps": 1, "measure_every": 2,
            "held_out_prompts": 2, "window": 2, "learning_rate": 0.01}
        return align.AlignConfig(**(options | changes))


def _references(generator_id: str, **changes: Any) -> references.ReferenceConfig:
    return references.ReferenceConfig(**{"generator_id": generator_id, "reward_model": "judge", "n": 4, "k": 2}
                                      | changes)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    root = tmp_path_factory.mktemp("alignment")
    tiny_policy(root / "weights")
    with open_warehouse(str(root / "warehouse")) as opened:
        folder = checkpoint(opened.root / "models" / "judge")
        card = ModelCard(model_id="judge", instructions={"t2i": {"overall": TEMPLATE}})
        (folder / CARD_FILE).write_text(card.model_dump_json(), encoding="utf-8")
        prompts.run(prompts.PromptConfig(source="simulation.prompt_set:image_prompts", options={"limit": 20}), opened)
        made = candidates.run(candidates.CandidateConfig(
            generator="simulation.policy:image_generator", source="simulation", per_prompt=5,
            generator_options={"weights": str(root / "weights"), "steps": 3, "guidance": 1.0}), opened)
        ranked = references.run(_references(made.outputs["generator_id"], method="round_robin", limit=9), opened)
        yield World(opened, root / "weights", made.outputs["generator_id"], ranked.outputs["rank_key"])


def test_references_are_the_winners_of_the_tournament(world: World) -> None:
    rows = world.warehouse.rows("SELECT * FROM reference_ranks WHERE starts_with(rank_id, ?)", [world.rank_key])
    assert len(rows) == 18 and {row["rank"] for row in rows} == {1, 2} and {row["comparisons"] for row in rows} == {3}
    prompt = rows[0]["prompt_id"]
    found = references.candidates_of(world.warehouse, world.generator_id, "t2i", "simulation", "id", 4, 0)[prompt]
    model = load_reward_model(world.warehouse, "judge")
    frames = [frames_of(world.warehouse.media.get(row["media_id"])) for row in found]
    wins = [0.0] * 4
    for i in range(4):
        for j in range(4):
            if i != j:
                item = PairItem(found[0]["text"], frames[j], frames[i], "t2i", "overall")
                back = PairItem(found[0]["text"], frames[i], frames[j], "t2i", "overall")
                wins[i] += (float(model.score_pairs([item])[0]) + 1 - float(model.score_pairs([back])[0])) / 2
    best = max(range(4), key=lambda index: wins[index])
    first = next(row for row in rows if row["prompt_id"] == prompt and row["rank"] == 1)
    assert first["candidate_id"] == found[best]["candidate_id"] and first["wins"] == pytest.approx(wins[best], abs=1e-4)
    domains = {row["domain"] for row in world.warehouse.rows(
        "SELECT p.domain FROM reference_ranks r JOIN prompts p USING (prompt_id)")}
    assert domains == {"id"}


def test_a_killed_reference_stage_goes_on_and_ends_the_same(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    config = _references(world.generator_id, limit=6)
    monkeypatch.setattr(references, "_COMMIT_PROMPTS", 2)

    class Killed(Exception):
        pass

    def kill(done: int, total: int, note: str) -> None:
        if done >= 4:
            raise Killed

    with on_progress(kill), pytest.raises(Killed):
        references.run(config, world.warehouse)
    receipt = references.run(config, world.warehouse)
    assert receipt.counts["already_there"] == 4 and receipt.counts["references"] == 4
    again = references.run(config, world.warehouse)
    assert not again.changed and again.outputs == receipt.outputs
    model = load_reward_model(world.warehouse, "judge")
    for goal in read_goals(world.warehouse, receipt.outputs["rank_key"], "t2i", 4):
        rows = references.candidates_of(world.warehouse, world.generator_id, "t2i", "simulation", "id", 4,
                                        0)[goal.prompt_id]
        frames = [frames_of(world.warehouse.media.get(row["media_id"])) for row in rows]
        # Four candidates are few enough for `finals` to be the round robin.
        best = round_robin(PromptComparer(model, goal.prompt, "t2i", "overall"), frames)[0]
        assert np.array_equal(goal.references[0].pixels, frames[best.index].pixels)


def test_alignment_leaves_a_model_that_generates(world: World) -> None:
    receipt = align.run(world.config(gold="tests.alignment.test_stages:Brightness", kl=0.1), world.warehouse)
    outputs = receipt.outputs
    assert {"proxy_before", "proxy_after", "spread_first", "spread_last", "best_step", "stopped", "gold_before",
            "gold_after", "drift"} <= set(outputs)
    assert outputs["proxy_after"] >= outputs["proxy_before"]
    row = world.warehouse.rows("SELECT * FROM models WHERE model_id = ?", [outputs["model_id"]])[0]
    assert row["kind"] == "policy" and row["reward_model_id"] == "judge" and row["parent_id"]
    names = {row["name"] for row in world.warehouse.rows(
        "SELECT DISTINCT name FROM metrics WHERE run_key = ?", [outputs["model_id"]])}
    assert {"proxy/mean", "proxy/spread", "drift", "held_out/proxy", "gold/mean", "train/loss"} <= names
    assert not align.run(world.config(gold="tests.alignment.test_stages:Brightness", kl=0.1), world.warehouse).changed
    made = candidates.run(candidates.CandidateConfig(
        generator="simulation.policy:image_generator", source="simulation", per_prompt=1, limit=2,
        generator_options={"weights": str(world.weights), "steps": 3, "guidance": 1.0,
                           "adapter": outputs["model_id"], "warehouse_root": str(world.warehouse.root)}),
        world.warehouse)
    assert made.counts["candidates"] == 2 and made.outputs["generator_id"] != world.generator_id


def test_somebody_elses_scorer_rewards_and_ours_looks_on(world: World) -> None:
    """Over HTTP, by what UniRL's reward service speaks; its reward has no gradient, so that ReFL refuses it."""
    with served(rewards) as url:
        theirs = {"reward_model": "", "scorer": "rm.scorers.service:RewardService",
                  "scorer_options": {"url": url, "reward": "hpsv3", "metric": "mu"}, "held_out_model": "judge"}
        config = world.config(name="external", method="flow_grpo", sde_steps=2, steps=2, **theirs)
        outputs = align.run(config, world.warehouse).outputs
        with pytest.raises(ConfigError, match="no gradient"):
            align.run(world.config(name="refused", **theirs), world.warehouse)
    assert 0 < outputs["second_before"] < 1 and outputs["second_before"] != outputs["proxy_before"]
    row = world.warehouse.rows("SELECT * FROM models WHERE model_id = ?", [outputs["model_id"]])[0]
    assert row["reward_model_id"] == content_id("service", "hpsv3", "mu", 1.0)
    measured = world.warehouse.rows("SELECT step FROM metrics WHERE run_key = ? AND name = 'held_out/second'",
                                    [outputs["model_id"]])
    assert len(measured) == 2


class Brightness:
    """A gold plug-in."""

    def score(self, prompt: str, frames: np.ndarray[Any, np.dtype[np.uint8]]) -> float:
        return float(frames.mean()) / 255.0


@pytest.mark.parametrize("method", ["refl", "flow_grpo"])
def test_a_run_that_failed_anywhere_ends_with_the_same_adapter(world: World, method: str) -> None:
    config = world.config(name=f"resumed-{method}", method=method, sde_steps=2)

    class Killed(Exception):
        pass

    def kill_at(step: int) -> Any:
        def listen(done: int, total: int, note: str) -> None:
            if done == step:
                raise Killed
        return listen

    # Before the first checkpoint, between two, and after the last step.
    for step in (1, 3, 6):
        with on_progress(kill_at(step)), pytest.raises(Killed):
            align.run(config, world.warehouse)
    resumed = align.run(config, world.warehouse).outputs
    undisturbed = align.run(world.config(name=f"undisturbed-{method}", method=method, sde_steps=2),
                            world.warehouse).outputs
    sha256 = {row["model_id"]: row["sha256"] for row in world.warehouse.rows("SELECT model_id, sha256 FROM models")}
    assert resumed["model_id"] != undisturbed["model_id"]
    assert sha256[resumed["model_id"]] == sha256[undisturbed["model_id"]]
    assert {**resumed, "model_id": ""} == {**undisturbed, "model_id": ""}
    assert not (world.warehouse.root / "work" / "align" / resumed["model_id"]).exists()


_COMMAND = """
import json, os, signal, sys
from alignment import align
from warehouse import open_warehouse
from warehouse.stage import on_progress
config = align.AlignConfig(**json.loads(sys.argv[2]))
def kill(done, total, note):
    if done == 3:
        os.kill(os.getpid(), signal.SIGKILL)
with on_progress(kill), open_warehouse(sys.argv[1]) as warehouse:
    align.run(config, warehouse)
"""


def test_kill_9_and_the_same_command(world: World) -> None:
    config = world.config(name="killed")
    killed = subprocess.run([sys.executable, "-c", _COMMAND, world.warehouse.url, config.model_dump_json()], cwd=ROOT,
                            env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    waiting = list((world.warehouse.root / "work" / "align").glob("*/checkpoint.pt"))
    assert len(waiting) == 1
    before = waiting[0].stat().st_mtime_ns
    seen: list[int] = []
    with on_progress(lambda done, total, note: seen.append(done)):
        outputs = align.run(config, world.warehouse).outputs
    assert before and seen[0] == 3 and outputs["steps"] == 6
    about = json.loads((world.warehouse.root / "models" / outputs["model_id"] / "adapter.json").read_text())
    assert about["reward_model_id"] == "judge"


def test_search_takes_the_best_of_the_first_n(world: World) -> None:
    config = search.SearchConfig(generator_id=world.generator_id, reward_model="judge", source="simulation",
                                 n=(1, 2, 5), limit=4)
    receipt = search.run(config, world.warehouse)
    key = receipt.outputs["search_key"]
    rows = world.warehouse.rows("SELECT * FROM rewards WHERE starts_with(reward_id, ?)", [key])
    assert len(rows) == 4 * (4 + 4) and all(0 < row["value"] < 1 for row in rows)
    one, five = search.chosen(world.warehouse, key, 1), search.chosen(world.warehouse, key, 5)
    found = references.candidates_of(world.warehouse, world.generator_id, "t2i", "simulation", "", 5, 4)
    assert one == {prompt: rows[0]["candidate_id"] for prompt, rows in found.items()}
    for prompt, candidate in five.items():
        scores = {row["candidate_id"]: 0.0 for row in found[prompt]}
        for anchor in found[prompt][:2]:
            scores[anchor["candidate_id"]] += 0.5
        for row in rows:
            if row["prompt_id"] == prompt:
                scores[row["candidate_id"]] += row["value"]
        assert scores[candidate] == max(scores.values())


def test_refusals(world: World) -> None:
    with pytest.raises(ConfigError, match="no references"):
        align.run(world.config(references="absent"), world.warehouse)
    with pytest.raises(ConfigError, match="is for t2i"):
        align.run(world.config(task="t2v"), world.warehouse)
    with pytest.raises(ConfigError, match="gradient_steps"):
        align.run(world.config(gradient_steps=9), world.warehouse)
    with pytest.raises(ConfigError, match="group"):
        align.run(world.config(method="flow_grpo", group=1), world.warehouse)
    with pytest.raises(ConfigError, match="no t2i prompts"):
        references.run(_references("absent"), world.warehouse)

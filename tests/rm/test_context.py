"""Context as configuration: conditions, k references, worked examples, reasons before or after the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from rm import evaluate, instructions, train
from rm.bradley_terry import K, bradley_terry
from rm.context import Context, Frames, Text, fill
from rm.examples import Asking
from rm.families import FAMILIES, load_family
from rm.forms import find_form
from rm.loader import FrameCache
from rm.model_folder import ModelCard, read_card
from rm.reward_model import PairItem, RewardModel, load_reward_model
from rm.shots import SHOTS_FILE, choose_shots, load_shots
from tests.rm import tiny, world
from tests.rm.conftest import Place
from warehouse.errors import ConfigError, MediaError
from warehouse.shards import Sample, open_split

EDIT = "source {condition} image 1 {image_1} image 2 {image_2} prompt : {prompt} . is image 2 better than image 1 ?"
MANY = "judge {references} image 1 {image_1} image 2 {image_2} prompt : {prompt} . is image 2 better than image 1 ?"


def pictures(parts: tuple[Any, ...]) -> list[Frames]:
    return [part for part in parts if isinstance(part, Frames)]


def test_slots_of_the_context() -> None:
    one, two, start, further = (world.frames(n) for n in range(4))
    assert pictures(fill(EDIT, "x", one, two, Context(start))) == [start, one, two]
    assert pictures(fill(MANY, "x", one, two, Context(references=(further, start)))) == [further, start, one, two]
    assert pictures(fill(MANY, "x", one, two)) == [one, two]
    assert fill(world.TEMPLATE, "x", one, two, Context(shots=(Text("before"),)))[0] == Text("before")
    with pytest.raises(ConfigError, match="condition"):
        fill(EDIT, "x", one, two)


@pytest.mark.parametrize("task, template, message", [
    ("edit", world.TEMPLATE, "condition"), ("t2i", EDIT, "each slot once"),
    ("t2i", "{references} " + MANY, "at most once"),
    ("edit", "{image_1} {image_2} {condition} {prompt}", "after image 1")])
def test_instructions_show_what_their_task_has(tmp_path: Path, task: str, template: str, message: str) -> None:
    file = tmp_path / "i.yaml"
    file.write_text(f"version: 1\ntemplates: {{{task}: {{overall: '{template}'}}}}\n")
    with pytest.raises(ConfigError, match=message):
        instructions.read_instructions(file)


@pytest.mark.parametrize("name", ["default", "default_pointwise", "simulation", "simulation_pointwise"])
def test_committed_instructions_are_valid(name: str) -> None:
    rows = instructions.read_instructions(world.CONFIGS / f"{name}.yaml")
    assert {row["dimension"] for row in rows} >= {"overall", "text_alignment", "visual_quality"}
    if name == "default":
        assert {row["task"] for row in rows} == {"t2i", "t2v", "i2v", "edit"}


def sample(place: Place, **changes: Any) -> Sample:
    dataset = open_split(place.warehouse, "bright", 1, "train", tasks=["t2i"])
    found = next(dataset[i] for i in range(len(dataset)) if dataset[i].rationale)
    return replace(found, facts=found.facts | changes)


def test_references_and_condition_come_from_the_shard(place: Place) -> None:
    plain = sample(place)
    rich = replace(plain, instruction="edit {condition} of {references} : " + world.TEMPLATE, condition=plain.b,
                   references=(plain.a, plain.b, plain.a))
    shown = [len(pictures(Asking(references=k).examples(rich, FrameCache(4))[0].parts)) for k in (0, 1, 2, 9)]
    assert shown == [3, 4, 5, 6]
    with pytest.raises(MediaError, match=plain.key):
        Asking().examples(replace(plain, b=b"no picture", facts=plain.facts | {"media_b": "?"}), FrameCache(4))


def test_where_the_reason_stands(place: Place) -> None:
    found = sample(place)
    decode = FrameCache(4)
    wins = int(found.facts["p_a"] > 0.5)
    verdict = Asking(end="<|im_end|>").examples(found, decode)[wins]
    assert (verdict.reason, verdict.answer) == ("", "yes warmer<|im_end|>")
    reason = Asking(end="<|im_end|>", rationale="reason_first").examples(found, decode)[wins]
    assert (reason.reason, reason.answer) == ("warmer", " yes<|im_end|>")
    assert Asking(rationale="none").examples(found, decode)[wins].answer is None
    family = load_family(place.base)
    batch = family.encode([verdict, reason, replace(reason, reason="", answer=None)])
    said = [family.tokenizer.convert_ids_to_tokens(batch.input_ids[i].tolist()) for i in range(3)]
    assert said[0][int(batch.verdict_index[0]) + 1] == "yes" == said[1][int(batch.verdict_index[1]) + 1]
    assert said[1][int(batch.verdict_index[1])] == "warmer"
    assert int(batch.verdict_index[1]) == int(batch.verdict_index[2]) + 1 == int(batch.verdict_index[0]) + 1


def test_weights_by_votes_and_ties_of_two_bad_ones(place: Place) -> None:
    found = sample(place, n_votes=5, n_both_bad=3, p_tie=0.25)
    decode = FrameCache(4)
    assert [example.weight for example in Asking(weigh_votes=True).examples(found, decode)] == [5.0, 5.0]
    assert [example.weight for example in Asking().examples(found, decode)] == [1.0, 1.0]
    asked = Asking(find_form("regressive"), {"t2i": {"overall": "is {image_1} good ? {prompt}"}}, ties="win_tie")
    assert [(example.weight, example.tie) for example in asked.examples(found, decode)] == [(0.0, 0.25)] * 2


def test_ties_by_hand() -> None:
    """VideoAlign's formula (arXiv 2501.13918) and SoliReward's (arXiv 2512.22170), with numpy."""
    d, log_k = 0.7, np.log(K)

    def log_s(x: float) -> float:
        return float(-np.log1p(np.exp(-x)))

    def ours(p: float, tie: float, ties: Any) -> float:
        return float(bradley_terry(*(torch.tensor([x]) for x in (d, p, tie)), ties))

    assert ours(1.0, 0.0, "ties") == pytest.approx(-log_s(d - log_k), rel=1e-5)
    tied = -log_s(d - log_k) - log_s(-d - log_k) - np.log(K**2 - 1)
    assert ours(0.5, 1.0, "ties") == pytest.approx(tied, rel=1e-5)
    shares = np.exp([log_s(d - log_k), log_s(-d - log_k), -tied])
    assert shares.sum() == pytest.approx(1.0)
    assert ours(0.8, 0.0, "win_tie") == pytest.approx(-log_s(d), rel=1e-5)
    assert ours(0.5, 1.0, "win_tie") == pytest.approx(-0.5 * log_s(d) - 0.5 * log_s(-d), rel=1e-5)
    even = torch.zeros(1, requires_grad=True)
    for kind in ("soft", "ties", "win_tie"):
        bradley_terry(even, torch.tensor([0.5]), torch.tensor([1.0]), kind).backward()  # type: ignore[arg-type]
    assert even.grad is not None and float(even.grad) == 0.0


def test_shots_are_clear_balanced_and_never_of_the_own_prompt(place: Place, tmp_path: Path) -> None:
    parts = [open_split(place.warehouse, "bright", 1, "train", tasks=["t2i"])]
    shots = choose_shots(parts, 2, FrameCache(4))
    pool = shots.pool[("t2i", "overall")]
    assert {shot.yes for shot in pool} == {True, False} and len({shot.prompt_id for shot in pool}) == len(pool) > 4
    for shot in pool:
        light = [float(FrameCache(4)("", data).pixels.mean()) for data in (shot.image_1, shot.image_2)]
        assert (light[1] > light[0]) == shot.yes, "voters of this world like bright pictures"
    drawn = [shots.parts("t2i", "overall", world.TEMPLATE, f"key {n}", pool[0].prompt_id) for n in range(8)]
    assert len({tuple(part.text for part in each if isinstance(part, Text)) for each in drawn}) > 1
    assert not any(pool[0].prompt in part.text for each in drawn for part in each if isinstance(part, Text))
    (tmp_path / SHOTS_FILE).write_text(shots.dump())
    again = load_shots(tmp_path, FrameCache(4))
    texts = [[part.text for part in each.parts("t2i", "overall", world.TEMPLATE) if isinstance(part, Text)]
             for each in (shots, again)]
    assert texts[0] == texts[1] and [text for text in texts[0] if "answer" in text] == [" answer : yes . ",
                                                                                        " answer : no . "]


def trained(place: Place, **changes: Any) -> RewardModel:
    options: Mapping[str, Any] = {"name": "context", "base": str(place.base), "dataset": "bright", "version": 1,
                                  "steps": 4, "batch_pairs": 4, "tasks": ("t2i",), "validate_every": 4,
                                  "learning_rate": 2e-3, "validation_samples": 4}
    receipt = train.run(train.TrainConfig(**{**options, **changes}), place.warehouse)
    return load_reward_model(place.warehouse, str(receipt.outputs["model_id"]))


def test_a_model_with_shots_shows_them_when_it_scores(place: Place) -> None:
    model = trained(place, shots=2, ema=0.9, weigh_votes=True)
    reference, candidates = world.frames(1), [world.frames(n) for n in (2, 3)]
    plain = model.score_pairs([PairItem("a red circle", reference, c, "t2i", "overall") for c in candidates])
    group = model.score_group("a red circle", [reference], candidates, "t2i", "overall")
    assert group[0] == pytest.approx(plain, abs=1e-4)
    bare = RewardModel(model.family, model.model, model.card)
    assert np.abs(bare.score_pairs([PairItem("a red circle", reference, candidates[0], "t2i", "overall")])
                  - plain[:1]).max() > 1e-4
    found = evaluate.run(evaluate.EvaluateConfig(model_id=model.model_id, dataset="bright", version=1, limit=3),
                         place.warehouse)
    assert found.outputs["accuracy"]["test"]["n"] == 3


def test_a_model_that_reasons_first(place: Place) -> None:
    model = trained(place, rationale="reason_first", rationale_weight=1.0, reason_tokens=4)
    assert read_card(place.warehouse.root / "models" / model.model_id).rationale == "reason_first"
    items = [PairItem(prompt, world.frames(1), world.frames(n), "t2i", "overall")
             for n, prompt in ((2, "a red circle"), (3, "two large blue squares left of a green cross"))]
    together, alone = model.score_pairs(items), np.concatenate([model.score_pairs([item]) for item in items])
    assert together == pytest.approx(alone, abs=1e-4)
    group = model.score_group("a red circle", [world.frames(1)], [world.frames(2)], "t2i", "overall")[0]
    assert group == pytest.approx(together[:1], abs=1e-4)
    with pytest.raises(ConfigError, match="no gradient"):
        model.reward(["x"], [world.frames(1)], torch.rand(1, 1, 32, 32, 3), "t2i", "overall")


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_reasoning_with_a_cache_equals_reading_everything_again(tmp_path: Path, family: str) -> None:
    folder = tiny.checkpoint(family, tmp_path / "base")
    card = ModelCard(model_id="m")
    model = RewardModel(load_family(folder), load_family(folder).load_model(folder), card)
    asked = [find_form("pairwise").questions(world.TEMPLATE, prompt, world.frames(1), world.frames(n))[0]
             for n, prompt in ((2, "a red circle"), (3, "two blue squares"))]
    batch = model.family.encode(asked)
    with torch.no_grad():
        features = model.family.image_features(model.model, batch.pictures)
        states, reasons = model.family.reasoned_states(model.model, batch, features, 5)
        for index, reason in enumerate(reasons):
            whole = model.family.encode([replace(asked[index], reason=reason)])
            again = model.family.verdict_states(model.model, whole)
            assert (again[0] - states[index]).abs().max() < 1e-4


@pytest.mark.parametrize("changes", [{"form": "pointwise", "shots": 1}, {"form": "regressive", "references": 2},
                                     {"form": "pointwise", "rationale": "reason_first"}, {"ties": "win_tie"}])
def test_contradictions_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="pairwise"):
        train.TrainConfig(name="x", base="x", dataset="x", version=1, **changes)

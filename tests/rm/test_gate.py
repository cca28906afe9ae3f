from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from rm import gate, negatives, train
from rm.attacks import ATTACKS, CLIP_ATTACKS, CLIP_LESSONS, LESSONS, attacked, keys_for, lessons_for, visibly
from rm.context import Frames
from rm.families import load_family
from rm.gate_measures import Question, examine
from rm.reward_model import PairItem, Scores, sigmoid
from rm.scorers import Scorer
from rm.text_keys import TEXT_KEYS, TEXT_LESSONS, with_key
from tests.rm import world
from tests.rm.conftest import Place
from tests.rm.servers import rewards, served
from warehouse.datasets import build
from warehouse.errors import BackendError, ConfigError, InvalidInputError
from warehouse.records import Row


def test_gate_fails_a_model_that_likes_white(trained: tuple[Place, str]) -> None:
    """The voters of this world like bright pictures: a blank white one beats everything, and the gate says so."""
    place, model_id = trained
    config = gate.GateConfig(model_id=model_id, dataset="bright", version=1, splits=("train",))
    found = gate.run(config, place.warehouse)
    rows = {row["key"]: row for row in place.warehouse.rows("SELECT * FROM attack_results WHERE run_id = ?",
                                                            [found.run_id])}
    assert set(ATTACKS) <= set(rows)
    assert not found.outputs["passed"] and "false_yes:white" in found.outputs["failed"]
    assert rows["white"]["value"] > rows["black"]["value"]


class Brightness:
    """A scorer that knows brightness only."""

    model_id, max_frames = "brightness", 4

    def score_pairs(self, items: Sequence[PairItem], batch: int = 64) -> Scores:
        leads = [float(item.candidate.pixels.mean() - item.reference.pixels.mean()) for item in items]
        return sigmoid(np.array(leads, np.float32) / 50)


def test_the_gate_finds_what_a_scorer_really_looks_at(place: Place) -> None:
    config = gate.GateConfig(model_id="brightness", dataset="bright", version=1, splits=("train",))
    clear, drawn = gate.questions(place.warehouse, config, 4)
    assert {q.task for q in clear} == {"t2i", "t2v"} and all(q.share > 0.5 for q in clear) and 0 < len(drawn) <= 48
    rows = measured(Brightness(), clear, drawn)
    assert rows["brightness"]["value"] > 0.9 and not rows["brightness"]["passed"]
    assert rows["white"]["value"] == 1.0 and rows["black"]["value"] == 0.0
    assert rows["flip_rate"]["value"] == rows["reference_copied"]["value"] == rows["identical_pair"]["value"] == 0.0
    clips = sum(q.task == "t2v" for q in clear)
    assert rows["black_frames"]["n"] == clips and rows["black_frames"]["value"] == 0.0
    assert all(rows[key]["value"] == 0.0 and rows[key]["n"] == len(clear) for key in TEXT_KEYS)
    assert rows["expected_error"]["value"] < 0.25 and rows["distinct"]["value"] > 20


def measured(scorer: Scorer, clear: Sequence[Question], drawn: Sequence[Question] = ()) -> dict[str, Row]:
    """Rows by key, at the usual limits."""
    limits = gate.GateConfig(dataset="d", version=1).limits()
    return {row["key"]: row for row in examine(scorer, clear, drawn, limits)}


class Gullible(Brightness):
    """Believes what the prompt says, and knows three scores."""

    def score_pairs(self, items: Sequence[PairItem], batch: int = 64) -> Scores:
        if any(item.candidate.pixels.shape[1:3] == (1, 1) for item in items):
            raise ZeroDivisionError("no pixels")
        if any(len(item.prompt) > 1000 for item in items):
            raise InvalidInputError("too long")
        if any(not item.prompt for item in items):
            return np.full(len(items), np.nan, np.float32)
        sure = super().score_pairs(items).round()
        return np.where([item.prompt.endswith("yes") for item in items], 0.9, 0.2 + 0.4 * sure).astype(np.float32)


def test_the_gate_sees_words_and_edges_that_decide(place: Place) -> None:
    config = gate.GateConfig(model_id="gullible", dataset="bright", version=1, splits=("train",), pairs=24)
    clear, drawn = gate.questions(place.warehouse, config, 4)
    rows = measured(Gullible(), clear, drawn)
    for key in ("yes_in_prompt", "yes_repeated", "instruction_echo"):
        assert rows[key]["value"] == 1.0 and not rows[key]["passed"]
    assert rows["colon"]["value"] == 0.0 and rows["colon"]["passed"]
    # A crash and a NaN fail; an error that has a name is an answer.
    assert {key for key in ("one_pixel", "strip", "large", "empty_prompt", "long_prompt", "strange_prompt")
            if not rows[key]["passed"]} == {"one_pixel", "empty_prompt"}
    assert rows["distinct"]["value"] == 2 and not rows["distinct"]["passed"]
    assert not rows["identical_pair"]["passed"] and measured(Gullible(), []) == {}


def test_the_gate_examines_other_peoples_scorers(place: Place) -> None:
    with served(rewards) as url:
        options = {"url": url, "reward": "hpsv3", "metric": "mu"}
        config = gate.GateConfig(scorer="rm.scorers.service:RewardService", scorer_options=options, dataset="bright",
                                 version=1, splits=("train",), pairs=6)
        with pytest.raises(BackendError, match="no picture"):
            gate.run(config, place.warehouse)
    with pytest.raises(ConfigError, match="one scorer"):
        gate.run(gate.GateConfig(dataset="bright", version=1), place.warehouse)


def test_lessons_are_no_questions_of_the_gate() -> None:
    for seed in range(20):
        for frames in (world.frames(seed), world.frames(seed, 4)):
            names = keys_for(frames), [*lessons_for(frames, seed), *lessons_for(frames, seed + 1)]
            assert not set(names[0]) & set(names[1])
            asked, taught = ([attacked(frames, "a red circle", name, seed).pixels for name in each] for each in names)
            assert not any(np.array_equal(a, b) for a in asked for b in taught)
    words = [[with_key("a red circle", key) for key in keys] for keys in (TEXT_KEYS, TEXT_LESSONS)]
    assert not set(words[0]) & set(words[1]) and len(set(words[0])) == len(TEXT_KEYS)


def test_clip_keys_are_for_clips() -> None:
    assert set(CLIP_ATTACKS) <= set(keys_for(world.frames(1, 4)))
    assert not set(CLIP_ATTACKS) & set(keys_for(world.frames(1)))
    clip = world.frames(1, 4)
    frozen, black = (np.asarray(attacked(clip, "", key, 0).pixels) for key in ("frozen", "black_frames"))
    assert np.ptp(frozen, axis=0).max() == 0 and np.array_equal(frozen[0], clip.pixels[0])
    assert black[1].max() == black[3].max() == 0 and np.array_equal(black[2], clip.pixels[2])


def test_lessons_cure_what_the_gate_finds(trained: tuple[Place, str]) -> None:
    """Taught from shards of negatives, asked with the gate's own keys on prompts that trained neither model."""
    place, model_id = trained
    made = negatives.run(negatives.NegativesConfig(dataset="bright", version=1, pictures=1.0, words=0.0),
                         place.warehouse).outputs["consensus_ids"]
    recipe = negatives.recipe_of(negatives.NegativesConfig(dataset="bright", version=1), place.warehouse)
    changed = {"name": "cure", "consensus_ids": tuple(made), "min_votes": 0}
    version = build.run(recipe.model_copy(update=changed), place.warehouse).outputs["version"]
    config = train.TrainConfig(name="cured", base=model_id, dataset="cure", version=version, steps=120, batch_pairs=8,
                               learning_rate=2e-3, warmup_steps=5, validate_every=30, patience=0, negatives=0.4)
    means = []
    for subject in (model_id, str(train.run(config, place.warehouse).outputs["model_id"])):
        found = gate.run(gate.GateConfig(model_id=subject, dataset="bright", version=1), place.warehouse)
        means.append(place.warehouse.rows("SELECT avg(value) AS v FROM attack_results WHERE attack = 'false_yes' AND "
                                          "run_id = ?", [found.run_id])[0]["v"])
    assert means[1] < means[0] - 0.1


def test_a_key_that_changes_nothing_is_not_asked(place: Place) -> None:
    still = world.frames(1, 4)
    still = Frames(np.broadcast_to(still.pixels[:1], still.pixels.shape), still.times_s)
    frozen = attacked(still, "", "frozen", 0)
    assert not visibly(still, frozen) and visibly(world.frames(1, 4), attacked(world.frames(1, 4), "", "frozen", 0))
    rows = measured(Brightness(), [Question("a red circle", "t2v", "overall", still, world.frames(2, 4))])
    assert "black_frames" in rows and "frozen" not in rows


def test_words_of_lessons_stay_other_words_for_a_tokenizer_that_knows_few(place: Place) -> None:
    family = load_family(place.base)
    asked, taught = ({tuple(family.tokenizer(with_key("a red circle", key)).input_ids) for key in keys}
                     for keys in (TEXT_KEYS, TEXT_LESSONS))
    assert not asked & taught


def test_shuffled_quarters_cut_what_stood_in_the_middle() -> None:
    pixels = np.zeros((1, 8, 8, 3), np.uint8)
    pixels[:, 2:6, 2:6] = 255
    found = np.asarray(attacked(Frames(pixels), "", "shuffled_quarters", 0).pixels)
    assert found[0, :2, :2].min() == found[0, 6:, 6:].min() == 255 and found[0, 2:6].max(axis=(0, 1)).tolist() != [0]
    assert found[0, 3:5, 3:5].max() == 0 and found.sum() == pixels.sum()


@pytest.mark.parametrize("attack", sorted(ATTACKS | LESSONS | CLIP_ATTACKS | CLIP_LESSONS))
@pytest.mark.parametrize("side", [32, 37])
def test_attacks_change_pictures_and_keep_their_shape(attack: str, side: int) -> None:
    frames = world.frames(3, count=4, side=side)
    spoiled = attacked(frames, "a red circle", attack, 0)
    assert spoiled.pixels.shape == frames.pixels.shape and spoiled.pixels.dtype == np.uint8
    assert (spoiled.pixels != frames.pixels).mean() > 0.2 and spoiled.times_s == frames.times_s
    assert np.array_equal(spoiled.pixels, attacked(frames, "a red circle", attack, 0).pixels)

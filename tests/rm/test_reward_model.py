from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from rm.context import Example, Frames, pairwise
from rm.families import load_family
from rm.families.pixels import PatchGeometry, fitted_size, resized
from rm.features import FeatureCache
from rm.model_folder import ModelCard, read_card
from rm.reward_model import PairItem, RewardModel, frames_of, load_reward_model, sampled
from tests.rm import world
from warehouse.errors import ConfigError, InvalidInputError, NotFoundError
from warehouse.media.encode import encode_mp4, encode_png

TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> RewardModel:
    folder = world.checkpoint(tmp_path_factory.mktemp("model") / "base")
    return load_reward_model(folder.parent, str(folder))


def item(reference: Frames, candidate: Frames, prompt: str = "a red circle") -> PairItem:
    return PairItem(prompt, reference, candidate, "t2i", "overall", world.TEMPLATE)


def alone(model: RewardModel, items: list[PairItem]) -> np.ndarray:
    return np.concatenate([model.score_pairs([one]) for one in items])


def test_batches_of_mixed_length_keep_scores_and_order(model: RewardModel) -> None:
    items = [item(world.frames(n, count), world.frames(50 + n, count), prompt)
             for n, (count, prompt) in enumerate([(1, "a red circle"), (4, "two blue squares"), (1, "a green cross"),
                                                  (2, "three small red crosses left of a large blue square")])]
    together = model.score_pairs(items, batch=3)
    assert together.dtype == np.float32 and np.ptp(together) > 0.01
    assert np.abs(together - alone(model, items)).max() < TOLERANCE
    assert model.score_pairs([]).shape == (0,)


@settings(max_examples=8, deadline=None)
@given(frames=st.sampled_from([1, 2, 6]), count=st.integers(1, 7), batch=st.integers(1, 4),
       side=st.sampled_from([32, 48]), template=st.sampled_from([world.TEMPLATE, world.PROMPT_FIRST]))
def test_shared_prefix_equals_plain_scores(model: RewardModel, frames: int, count: int, batch: int, side: int,
                                           template: str) -> None:
    reference = world.frames(7, frames, side)
    candidates = [world.frames(20 + index, frames, side) for index in range(count)]
    group = model.score_group("a red circle", [reference], candidates, "t2i", "overall", template, batch)[0]
    plain = model.score_pairs([PairItem("a red circle", reference, candidate, "t2i", "overall", template)
                               for candidate in candidates])
    assert np.abs(group - plain).max() < TOLERANCE


def test_a_group_of_candidates_of_different_length(model: RewardModel) -> None:
    reference = world.frames(7)
    candidates = [world.frames(30, 4), world.frames(31, 1), world.frames(32, 2), reference]
    group = model.score_group("a red circle", [reference], candidates, "t2i", "overall", world.TEMPLATE)[0]
    assert np.abs(group - alone(model, [item(reference, candidate) for candidate in candidates])).max() < TOLERANCE


def test_a_group_against_several_references(model: RewardModel) -> None:
    """Each against each, in order."""
    references, candidates = [world.frames(7), world.frames(8)], [world.frames(20 + n) for n in range(5)]
    group = model.score_group("a red circle", references, candidates, "t2i", "overall", world.TEMPLATE, batch=3)
    plain = [[float(alone(model, [item(reference, each)])[0]) for each in candidates] for reference in references]
    assert group.shape == (2, 5) and np.abs(group - np.array(plain)).max() < TOLERANCE
    assert model.score_group("x", references, [], "t2i", "overall", world.TEMPLATE).shape == (2, 0)


def test_each_picture_is_encoded_once(model: RewardModel) -> None:
    pictures = [world.frames(index) for index in range(4)]
    examples = [pairwise(world.TEMPLATE, "x", a, b) for a in pictures for b in pictures if a is not b]
    cache = FeatureCache(model.family, model.model)
    for start in range(0, len(examples), 5):
        cache(model.family.encode(examples[start:start + 5]))
    assert cache.computed == 4
    named = [Frames(pictures[0].pixels.copy(), name="same") for _ in range(3)]
    cache(model.family.encode([pairwise(world.TEMPLATE, "x", named[0], other) for other in named[1:]]))
    assert cache.computed == 5


def test_a_full_cache_forgets_and_stays_right(model: RewardModel) -> None:
    examples = [pairwise(world.TEMPLATE, "x", world.frames(n), world.frames(n + 1)) for n in range(5)]
    tiny = FeatureCache(model.family, model.model, limit_bytes=1)
    batch = model.family.encode(examples)
    with torch.no_grad():
        plain = model.family.verdict_logits(model.model, batch)
        again = model.family.verdict_logits(model.model, batch, tiny(batch))
    assert (plain - again).abs().max() < TOLERANCE and not tiny._held


@pytest.mark.parametrize("frames", [1, 4, 8])
def test_reward_equals_scores_of_the_same_pixels(model: RewardModel, frames: int) -> None:
    references = [world.frames(index, frames) for index in range(3)]
    shown = [world.frames(10 + index, frames) for index in range(3)]
    pixels = torch.stack([torch.from_numpy(item.pixels).float() / 255 for item in shown]).requires_grad_()
    card = ModelCard(model_id="m", instructions={"t2v": {"overall": world.TEMPLATE}}, max_frames=4)
    judge = RewardModel(model.family, model.model, card)
    rewards = judge.reward(["a red circle"] * 3, references, pixels, "t2v", "overall")
    plain = judge.score_pairs([PairItem("a red circle", r, c, "t2v", "overall") for r, c in
                               zip(references, shown, strict=True)])
    assert np.abs(rewards.detach().numpy() - plain).max() < TOLERANCE
    rewards.sum().backward()
    assert pixels.grad is not None
    moved = (pixels.grad.abs().sum((2, 3, 4)) > 0).sum(1)
    assert moved.tolist() == [min(frames, 4)] * 3


def test_gradient_is_the_slope(model: RewardModel) -> None:
    pixels = torch.rand(1, 1, 32, 32, 3, generator=torch.Generator().manual_seed(0))
    direction = torch.randn(pixels.shape, generator=torch.Generator().manual_seed(1))

    def reward(at: torch.Tensor) -> torch.Tensor:
        return model.reward(["a red circle"], [world.frames(1)], at, "t2i", "overall", world.TEMPLATE)

    moving = pixels.clone().requires_grad_()
    reward(moving).sum().backward()
    assert moving.grad is not None
    slope = float((reward(pixels + 1e-2 * direction) - reward(pixels - 1e-2 * direction)) / 2e-2)
    assert float((moving.grad * direction).sum()) == pytest.approx(slope, rel=0.05, abs=1e-4)


def test_references_of_another_length_are_refused(model: RewardModel) -> None:
    with pytest.raises(InvalidInputError, match="frames"):
        model.reward(["x"], [world.frames(1, 2)], torch.rand(1, 4, 32, 32, 3), "t2i", "overall", world.TEMPLATE)


def test_a_float_picture_is_resized_like_pillow() -> None:
    geometry = PatchGeometry(4, 2, 2, (0.5,) * 3, (0.5,) * 3, 1024, 1024)
    smooth = Image.fromarray(world.frames(1).pixels[0]).resize((90, 60), Image.Resampling.BICUBIC)
    picture = np.asarray(smooth)[None]
    size = fitted_size(60, 90, geometry)
    ours = resized(torch.from_numpy(picture.copy()).float() / 255, size) * 255
    theirs = resized(picture, size)
    assert ours.shape == theirs.shape and ours.shape[1] % 8 == 0
    # Pillow rounds to 8 bits between its two passes.
    assert np.abs(ours.numpy() - theirs).max() <= 4.0 and np.abs(ours.numpy() - theirs).mean() < 0.5
    with pytest.raises(InvalidInputError, match="cannot be shown"):
        fitted_size(1, 4000, geometry)


def test_frames_are_spread_the_same_way_by_both_paths() -> None:
    pixels = world.picture(np.random.default_rng(0), 100, 8)
    data = encode_mp4(pixels, 4.0)
    assert frames_of(data, 4).times_s == sampled(frames_of(data), 4).times_s == (0.0, 0.5, 1.25, 1.75)
    assert np.array_equal(frames_of(data, 4).pixels, sampled(frames_of(data), 4).pixels)
    assert np.array_equal(frames_of(encode_png(pixels[0])).pixels[0], pixels[0])


def test_cards_and_names(model: RewardModel, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no instruction for t2i/overall"):
        model.score_pairs([PairItem("x", world.frames(1), world.frames(2), "t2i", "overall")])
    with pytest.raises(NotFoundError):
        load_reward_model(tmp_path, "")
    folder = world.checkpoint(tmp_path / "one")
    assert read_card(folder).model_id == read_card(world.checkpoint(tmp_path / "two")).model_id
    assert read_card(folder).name == "one"


def test_an_unknown_family_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ConfigError, match="bert"):
        load_family(tmp_path)


def test_an_empty_batch_is_refused(model: RewardModel) -> None:
    with pytest.raises(InvalidInputError):
        model.family.encode([])
    assert model.family.length(Example(()).parts) > 0

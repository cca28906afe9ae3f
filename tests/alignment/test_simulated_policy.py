"""The simulation's generators: bytes that depend on prompt and seed alone, adapters that come back as they were."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from simulation.flow import FlowConfig, FlowTransformer
from simulation.policy import SimulatedPolicy, clip_generator, image_generator, load_generator, save_generator
from warehouse.errors import ConfigError, InvalidInputError, NotFoundError
from warehouse.media.decode import decode_frames

PROMPTS = ["a red circle", "two blue squares", "a green cross above a red circle", "three black crosses"]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(5)
    folder = tmp_path_factory.mktemp("weights") / "generator_image"
    save_generator(FlowTransformer(FlowConfig(width=48, layers=2)), folder)
    return folder


@pytest.fixture(scope="module")
def clip_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(6)
    folder = tmp_path_factory.mktemp("weights") / "generator_clip"
    save_generator(FlowTransformer(FlowConfig(frames=8, patch_frames=4, width=32, layers=1)), folder)
    return folder


def _perturb(policy: SimulatedPolicy) -> None:
    policy.add_lora(4, seed=1)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)


def test_bytes_do_not_depend_on_the_batch(weights: Path) -> None:
    generator = image_generator(weights=str(weights))
    prompts, seeds = PROMPTS * 10, list(range(40))
    together = generator.generate(prompts, seeds)
    assert len(set(together)) == 40
    backwards = generator.generate(prompts[::-1], seeds[::-1])[::-1]
    alone = [generator.generate([prompts[i]], [seeds[i]])[0] for i in (0, 17, 33)]
    assert together == backwards and alone == [together[i] for i in (0, 17, 33)]


def test_a_saved_network_is_the_same_network(weights: Path) -> None:
    module = load_generator(weights)
    x, words = torch.randn(2, 1, 32, 32, 3), torch.zeros(2, 12, dtype=torch.long)
    save_generator(module, weights.parent / "again")
    again = load_generator(weights.parent / "again")
    assert torch.equal(module(x, torch.ones(2), words), again(x, torch.ones(2), words))
    assert image_generator(weights=str(weights.parent / "again")).revision == image_generator(
        weights=str(weights)).revision


def test_clips_are_playable(clip_weights: Path) -> None:
    frames, times = decode_frames(clip_generator(weights=str(clip_weights)).generate(
        ["a red circle moving left"], [3])[0])
    assert frames.shape == (8, 32, 32, 3) and times[1] == pytest.approx(0.25)


def test_guidance_moves_away_from_the_empty_prompt(weights: Path) -> None:
    plain, guided = (image_generator(weights=str(weights), guidance=g) for g in (1.0, 3.0))
    x, words = plain.noise([1]), plain.condition(PROMPTS[:1])
    given, empty = plain.velocity(x, 0.5, words), plain.velocity(x, 0.5, torch.zeros_like(words))
    torch.testing.assert_close(guided.velocity(x, 0.5, words), empty + 3.0 * (given - empty))


def test_adapter_starts_at_zero_and_survives_saving(weights: Path, tmp_path: Path) -> None:
    policy = image_generator(weights=str(weights))
    base = policy.generate(PROMPTS, [1, 2, 3, 4])
    policy.add_lora(4, seed=0)
    assert policy.generate(PROMPTS, [1, 2, 3, 4]) == base
    _perturb(policy)
    changed = policy.generate(PROMPTS, [1, 2, 3, 4])
    assert changed != base
    with policy.base():
        assert policy.generate(PROMPTS, [1, 2, 3, 4]) == base
    folder = tmp_path / "models" / "0123456789"
    folder.mkdir(parents=True)
    policy.save(folder, {"rank": 4})
    loaded = image_generator(adapter="0123456789", warehouse_root=str(tmp_path), weights=str(weights))
    assert not loaded.parameters() and loaded.revision != policy.revision
    again = loaded.generate(PROMPTS, [1, 2, 3, 4])
    for one, two in zip(changed, again, strict=True):
        # Two stacked adapters are one product of joined ranks: equal up to the last bits before rounding.
        assert np.abs(decode_frames(one)[0].astype(int) - decode_frames(two)[0]).max() <= 1


def test_refusals(weights: Path, clip_weights: Path, tmp_path: Path) -> None:
    policy = clip_generator(weights=str(clip_weights))
    policy.add_lora(2, seed=0)
    folder = tmp_path / "models" / "clip"
    folder.mkdir(parents=True)
    policy.save(folder, {})
    with pytest.raises(ConfigError, match="made for the weights"):
        image_generator(adapter="clip", warehouse_root=str(tmp_path), weights=str(weights))
    with pytest.raises(NotFoundError, match="no adapter"):
        image_generator(adapter="absent", warehouse_root=str(tmp_path), weights=str(weights))
    with pytest.raises(NotFoundError, match="no generator weights"):
        image_generator(weights=str(tmp_path / "none"))
    with pytest.raises(ConfigError, match="steps"):
        image_generator(weights=str(weights), steps=0)
    with pytest.raises(InvalidInputError, match="cannot read"):
        image_generator(weights=str(weights)).generate(["a photograph"], [0])

"""Both algorithms raise a reward whose truth is known, and the policy gradient is what it says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from alignment.flow_grpo import FlowGrpo, advantages, clipped_loss
from alignment.refl import Refl, shifted
from alignment.reward import Goal, ReferenceReward
from alignment.sampling import sde, sde_mean
from alignment.update import Rollout, draw_rollout, other_seed
from rm.context import Frames
from simulation.policy import SimulatedPolicy
from tests.alignment.worlds import RednessReward, goals, redness, tiny_policy
from warehouse.errors import TrainingError


@pytest.fixture
def policy(tmp_path: Path) -> SimulatedPolicy:
    return tiny_policy(tmp_path / "weights")


def _reward() -> ReferenceReward:
    return ReferenceReward(RednessReward(), "t2i", "overall")


def _optimizer(policy: SimulatedPolicy, rate: float) -> torch.optim.AdamW:
    return torch.optim.AdamW(policy.parameters(), lr=rate, weight_decay=0.0)


def _measured(policy: SimulatedPolicy, against: list[Goal]) -> float:
    """Mean reward of fresh samples by the ODE sampler."""
    prompts = [goal.prompt for goal in against]
    pixels = torch.from_numpy(policy._pixels(prompts, list(range(50, 50 + len(prompts)))))[:len(prompts)] / 255.0
    return float(_reward()(against, pixels).mean())


ALGORITHMS = {
    "refl": (Refl(steps=4, gradient_steps=2, ceiling=1.0, kl=0.0), 3e-3, 4, 15),
    "flow_grpo": (FlowGrpo(steps=4, sde_steps=2, fresh=0.7, inner_steps=1, clip=1e-3, kl=0.0), 1e-2, 16, 20),
}


@pytest.mark.parametrize("name", ALGORITHMS)
def test_the_reward_rises(policy: SimulatedPolicy, name: str) -> None:
    algorithm, rate, group, steps = ALGORITHMS[name]
    against = goals(policy)
    policy.add_lora(4, seed=0)
    before = _measured(policy, against)
    optimizer = _optimizer(policy, rate)
    for step in range(steps):
        algorithm.update(policy, _reward(), draw_rollout(against, 4, group, 0, step), optimizer)
    after = _measured(policy, against)
    with policy.base():
        assert _measured(policy, against) == before
    assert after > before + 0.2, (before, after)


def test_the_first_inner_step_is_on_policy(policy: SimulatedPolicy) -> None:
    against = goals(policy)
    policy.add_lora(4, seed=0)
    rollout = draw_rollout(against, 4, 4, 0, 0)
    algorithm = FlowGrpo(steps=4, sde_steps=3, fresh=0.7, inner_steps=1, clip=1e-3, kl=0.1)
    scalars = algorithm.update(policy, _reward(), rollout, _optimizer(policy, 1e-3)).scalars
    assert scalars["ratio_error"] == 0.0 and scalars["kl"] == 0.0 and scalars["gradient"] > 0.0
    again = FlowGrpo(steps=4, sde_steps=3, fresh=0.7, inner_steps=2, clip=1e-3, kl=0.1)
    scalars = again.update(policy, _reward(), rollout, _optimizer(policy, 1e-3)).scalars
    assert scalars["ratio_error"] > 0.0 and scalars["kl"] > 0.0


def test_the_gradient_is_the_policy_gradient(policy: SimulatedPolicy) -> None:
    # At ratio 1 the surrogate's gradient is that of -mean(A log p), with torch's own Gaussian as the density.
    against = goals(policy)
    policy.add_lora(2, seed=0)
    kept: list[torch.Tensor] = []

    class Probe(torch.optim.SGD):
        def step(self, closure: object = None) -> None:  # type: ignore[override]
            kept.extend(parameter.grad.clone() for group in self.param_groups for parameter in group["params"])

    rollout = draw_rollout(against, 2, 4, 0, 0)
    update = FlowGrpo(3, 2, 0.7, 1, 0.5, 0.0).update(policy, _reward(), rollout, Probe(policy.parameters(), lr=0.0))
    words = policy.condition([goal.prompt for goal in rollout.rows])
    _, taken = sde(policy, policy.noise(rollout.seeds), words, 3, 2, 0.7,
                   [other_seed(seed, "fresh noise") for seed in rollout.seeds])
    advantage = advantages(torch.from_numpy(update.rewards), 4)
    loss = torch.zeros(())
    for step in taken:
        mean = sde_mean(step.x_t, policy.velocity(step.x_t, step.t, words), step.t, step.s, 0.7)
        density = torch.distributions.Normal(mean, 0.7 * step.s).log_prob(step.x_s).flatten(1).mean(1)
        loss = loss - (advantage * density).mean() / len(taken)
    wanted = torch.autograd.grad(loss, policy.parameters())
    scale = max(update.scalars["gradient"], 1.0)
    for found, value in zip(kept, wanted, strict=True):
        torch.testing.assert_close(found * scale, value, rtol=1e-3, atol=1e-7)
    assert any(bool(value.abs().max() > 1e-5) for value in wanted)


def test_advantages_compare_within_a_group_only() -> None:
    rewards = torch.tensor([0.1, 0.3, 0.7, 0.9])
    found = advantages(rewards, 2)
    assert found.view(2, 2).sum(1).abs().max() < 1e-6
    torch.testing.assert_close(found[1], found[3])
    assert float(advantages(torch.full((4,), 0.5), 2).abs().max()) == 0.0


def test_clipping_stops_only_what_helps() -> None:
    ratio = torch.tensor([1.5], requires_grad=True)
    clipped_loss(ratio, torch.tensor([1.0]), 0.2).backward()  # type: ignore[no-untyped-call]
    assert ratio.grad is not None and float(ratio.grad) == 0.0
    ratio.grad = None
    clipped_loss(ratio, torch.tensor([-1.0]), 0.2).backward()  # type: ignore[no-untyped-call]
    assert float(ratio.grad) == 1.0


def test_a_sample_above_the_ceiling_pulls_no_further(policy: SimulatedPolicy) -> None:
    dark = [Goal("p", "a red circle", (Frames(np.zeros((1, 32, 32, 3), np.uint8)),))]
    policy.add_lora(4, seed=0)
    rollout = Rollout(tuple(dark), 2, (1, 2), 0)
    easy = Refl(steps=4, gradient_steps=1, ceiling=1e-6, kl=0.0).update(policy, _reward(), rollout,
                                                                        _optimizer(policy, 1e-2))
    assert easy.scalars["gradient"] == 0.0 and easy.scalars["at_ceiling"] == 1.0


def test_a_shift_moves_all_frames_of_a_sample_alike_and_keeps_the_gradient() -> None:
    pixels = torch.rand(6, 2, 12, 12, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    moved = shifted(pixels, 2, range(6))
    assert moved.shape == pixels.shape and shifted(pixels, 0, range(6)) is pixels
    places = set()
    for row, original in zip(moved, pixels, strict=True):
        found = [(dy, dx) for dy in range(-2, 3) for dx in range(-2, 3)
                 if torch.equal(row[:, 2:-2, 2:-2], original[:, 2 - dy:10 - dy, 2 - dx:10 - dx])]
        assert len(found) == 1
        places.update(found)
    assert len(places) > 3
    assert torch.equal(shifted(pixels, 2, range(6)), moved)
    moved.sum().backward()  # type: ignore[no-untyped-call]
    assert pixels.grad is not None and float(pixels.grad.sum()) == moved.numel()


def test_the_kl_term_holds_the_policy_back(policy: SimulatedPolicy) -> None:
    moved = {}
    against = goals(policy)
    prompts = [goal.prompt for goal in against]
    for weight in (0.0, 30.0):
        policy.add_lora(4, seed=0)
        start = torch.from_numpy(policy._pixels(prompts, list(range(9)))).float()
        optimizer = _optimizer(policy, 3e-3)
        for step in range(10):
            Refl(4, 2, 1.0, weight).update(policy, _reward(), draw_rollout(against, 6, 2, 0, step), optimizer)
        moved[weight] = float((torch.from_numpy(policy._pixels(prompts, list(range(9)))) - start).abs().mean())
        for parameter in policy.parameters()[::2]:
            parameter.data.zero_()
    assert moved[30.0] < 0.5 * moved[0.0]


def test_a_reward_that_is_not_a_number_stops_the_run(policy: SimulatedPolicy) -> None:
    policy.add_lora(4, seed=0)
    rollout = draw_rollout(goals(policy, 3), 2, 2, 0, 0)
    with pytest.raises(TrainingError, match="not finite"):
        Refl(4, 1, 1.0, 0.0).update(policy, lambda rows, pixels, k: redness(pixels) * float("nan"), rollout,
                                    _optimizer(policy, 1e-3))


def test_rollouts_follow_from_seed_and_step(policy: SimulatedPolicy) -> None:
    against = goals(policy)
    one, two, other = (draw_rollout(against, 4, 3, 7, step) for step in (5, 5, 6))
    assert one.seeds == two.seeds and one.goals == two.goals and one.seeds != other.seeds
    assert len(set(one.goals)) == 4 and len(one.rows) == len(one.seeds) == 12

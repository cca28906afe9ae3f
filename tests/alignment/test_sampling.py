"""Samplers against a flow that is known exactly."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from alignment.sampling import euler, log_prob, sde, sde_mean
from tests.alignment.worlds import PROMPTS, GaussianPolicy, tiny_policy

ROWS = 1000


def test_euler_reaches_the_data_distribution() -> None:
    policy = GaussianPolicy(0.6, 0.3)
    x_0 = euler(policy, policy.noise(range(ROWS)), policy.condition([""] * ROWS), 200)
    assert float(x_0.mean()) == pytest.approx(0.6, abs=0.03)
    assert float(x_0.std()) == pytest.approx(0.3, abs=0.02)


@pytest.mark.parametrize(("fresh", "tolerance"), [(0.1, 0.04), (0.2, 0.05)])
def test_sde_has_the_marginals_of_the_flow_at_every_time(fresh: float, tolerance: float) -> None:
    # Every step but the last random: an error in drift or noise level would show. 4,000 values a step: the standard
    # error of a spread is 1.1 %, the rest of the tolerance is discretisation (sampling.py).
    policy, steps = GaussianPolicy(0.6, 0.3), 100
    noise, condition = policy.noise(range(ROWS)), policy.condition([""] * ROWS)
    x_0, taken = sde(policy, noise, condition, steps, steps, fresh, range(ROWS, 2 * ROWS))
    assert len(taken) == steps - 1
    for step in taken:
        assert float(step.x_s.mean()) == pytest.approx(0.6 * (1 - step.s), abs=0.04)
        assert float(step.x_s.std()) == pytest.approx(math.sqrt(((1 - step.s) * 0.3) ** 2 + step.s**2), rel=tolerance)
    assert float(x_0.mean()) == pytest.approx(0.6, abs=0.03) and float(x_0.std()) == pytest.approx(0.3, rel=tolerance)


def test_at_eight_steps_three_random_ones_leave_no_extra_noise() -> None:
    # Flow-GRPO's Euler-Maruyama step ends 17 % wider than the ODE here; this one ends as the ODE does.
    policy = GaussianPolicy(0.6, 0.3)
    noise, condition = policy.noise(range(ROWS)), policy.condition([""] * ROWS)
    ode = euler(policy, noise, condition, 8)
    x_0, _ = sde(policy, noise, condition, 8, 3, 0.7, range(ROWS, 2 * ROWS))
    assert float(x_0.mean()) == pytest.approx(float(ode.mean()), abs=0.03)
    assert float(x_0.std()) == pytest.approx(float(ode.std()), rel=0.05)


def test_without_fresh_noise_it_is_the_euler_step() -> None:
    policy = GaussianPolicy(0.6, 0.3)
    x = policy.noise(range(5))
    v = policy.velocity(x, 0.7, None)
    torch.testing.assert_close(sde_mean(x, v, 0.7, 0.5, 0.0), x - 0.2 * v)


def test_small_steps_are_flow_grpos() -> None:
    # Eq. 9 of arXiv 2505.05470: x + (v + sigma^2 / (2 t) (x + (1 - t) v)) dt, dt = s - t < 0, to first order in dt.
    policy = GaussianPolicy(0.6, 0.3)
    t, s, a = 0.6, 0.6 - 1e-4, 0.7
    sigma = a * math.sqrt(t / (1 - t))
    x = policy.noise(range(50)).double()
    v = policy.velocity(x, t, None)
    published = x + (v + sigma**2 / (2 * t) * (x + (1 - t) * v)) * (s - t)
    fresh = sigma * math.sqrt(t - s) / s
    torch.testing.assert_close(sde_mean(x, v, t, s, fresh), published, atol=1e-6, rtol=0)


@settings(max_examples=30, deadline=None)
@given(s=st.floats(0.05, 0.95), fresh=st.floats(0.05, 0.95), seed=st.integers(0, 1000))
def test_log_prob_is_the_gaussian_density_up_to_a_constant(s: float, fresh: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    mean, one, two = (torch.randn(3, 2, 5, generator=generator, dtype=torch.double) for _ in range(3))
    normal = torch.distributions.Normal(mean, fresh * s)
    difference = (normal.log_prob(one) - normal.log_prob(two)).flatten(1).mean(1)
    torch.testing.assert_close(log_prob(one, mean, s, fresh) - log_prob(two, mean, s, fresh), difference)


def test_rows_depend_on_their_own_seeds_and_only_the_first_steps_are_random(tmp_path: Path) -> None:
    policy = tiny_policy(tmp_path / "w")
    x, words = policy.noise([1, 2]), policy.condition(PROMPTS[:2])
    one, taken = sde(policy, x, words, 4, 2, 0.7, [5, 6])
    two, _ = sde(policy, x, words, 4, 2, 0.7, [5, 7])
    assert len(taken) == 2 and [step.t for step in taken] == [1.0, 0.75]
    assert torch.equal(one[0], two[0]) and not torch.equal(one[1], two[1])
    none, nothing = sde(policy, x, words, 4, 0, 0.7, [5, 6])
    assert not nothing and torch.equal(none, euler(policy, x, words, 4).detach())

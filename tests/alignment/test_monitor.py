"""The monitor's rules, on series of rewards that are written down."""

from __future__ import annotations

import json

import numpy as np
import pytest

from alignment.monitor import Monitor, Rules


def _feed(monitor: Monitor, step: int, mean: float, spread: float) -> None:
    monitor.observe(step, np.array([mean - spread, mean + spread], np.float32), {"loss": 1.0})


def _values(proxy: float, drift: float = 0.0, **more: float) -> dict[str, float]:
    return {"proxy": proxy, "drift": drift, "diversity": 0.1, **more}


def test_spread_is_over_all_samples_of_the_window() -> None:
    monitor = Monitor(Rules(window=2))
    rewards = [np.array([0.1, 0.3], np.float32), np.array([0.5, 0.9], np.float32), np.array([0.2, 0.2], np.float32)]
    for step, row in enumerate(rewards, start=1):
        monitor.observe(step, row, {})
    assert monitor.spreads() == pytest.approx([np.concatenate(rewards[:2]).std(), np.concatenate(rewards[1:]).std()])


def test_a_collapsed_spread_warns_then_stops() -> None:
    monitor = Monitor(Rules(window=2, spread_floor=0.01))
    for step, spread in enumerate([0.1, 0.1, 0.04, 0.04], start=1):
        _feed(monitor, step, 0.5, spread)
    assert [alarm.rule for alarm in monitor.alarms] == ["spread_halved"] and not monitor.stopped
    for step in (5, 6):
        _feed(monitor, step, 0.5, 0.002)
    assert monitor.stopped == "spread"


def test_the_best_checkpoint_is_the_best_held_out_one_within_the_drift_limit() -> None:
    monitor = Monitor(Rules(drift_limit=0.2))
    kept = [monitor.measure(step, _values(proxy, drift)) for step, proxy, drift in
            ((0, 0.5, 0.0), (10, 0.6, 0.1), (20, 0.55, 0.15), (30, 0.9, 0.3))]
    assert kept == [True, True, False, False]
    assert monitor.best_step == 10 and monitor.best["proxy"] == 0.6 and monitor.stopped == "drift"


def test_patience_counts_measurements_since_the_best() -> None:
    monitor = Monitor(Rules(patience=2))
    for step, proxy in ((0, 0.5), (10, 0.6), (20, 0.59)):
        monitor.measure(step, _values(proxy))
    assert not monitor.stopped
    monitor.measure(30, _values(0.6))
    assert monitor.stopped == "held_out" and monitor.best_step == 10


def test_gold_is_written_down_but_never_chooses() -> None:
    monitor = Monitor(Rules())
    assert [monitor.measure(step, _values(proxy, gold=gold)) for step, proxy, gold in
            ((0, 0.5, 0.8), (10, 0.7, 0.6))] == [True, True]
    assert (10, "gold/mean", 0.6) in monitor.metrics and not monitor.stopped
    assert [alarm.rule for alarm in monitor.alarms] == ["hacking"]


def test_a_held_out_proxy_that_falls_while_training_rises_is_a_gap() -> None:
    monitor = Monitor(Rules())
    monitor.measure(0, _values(0.5))
    for step in range(1, 5):
        _feed(monitor, step, 0.5 + 0.05 * step, 0.1)
        if step % 2 == 0:
            monitor.measure(step, _values(0.5 - 0.02 * step))
    assert "gap" in [alarm.rule for alarm in monitor.alarms]


def test_state_survives_json() -> None:
    rules = Rules(window=3, drift_limit=0.2)
    one = Monitor(rules)
    one.measure(0, _values(0.5))
    for step in range(1, 5):
        _feed(one, step, 0.1 * step, 0.05 * step)
    one.measure(5, _values(0.6, 0.3))
    two = Monitor.restore(rules, json.loads(json.dumps(one.state())))
    for monitor in (one, two):
        _feed(monitor, 6, 0.7, 0.01)
    assert one.metrics == two.metrics and one.alarms == two.alarms and one.best == two.best
    assert one.stopped == two.stopped == "drift"

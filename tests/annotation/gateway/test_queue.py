"""Dealing tasks: every showing once, no person sees a pair twice, nothing stays out for ever."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from annotation.gateway.queue import LEASE_S, Queue, Showing


def _queue(pairs: int, overlap: int) -> Queue:
    queue = Queue()
    queue.load(Showing(pair * overlap + replica + 1, f"pair {pair}", replica)
               for pair in range(pairs) for replica in range(overlap))
    return queue


MOVES = st.lists(st.tuples(st.integers(1, 5), st.sampled_from(["answer", "pass", "leave"])), max_size=80)


@given(st.integers(1, 6), st.integers(1, 3), MOVES)
def test_nobody_gets_a_pair_twice_and_no_task_two_answers(
    pairs: int, overlap: int, moves: list[tuple[int, str]]
) -> None:
    queue = _queue(pairs, overlap)
    given_to: dict[int, list[str]] = {}
    answers: Counter[int] = Counter()
    out: dict[int, int] = {}
    for rater, move in moves:
        number = queue.next(rater, 0.0)
        if number is None:
            continue
        if out.get(rater) != number:
            given_to.setdefault(rater, []).append(queue.showings[number].pair_id)
        assert number not in {task for who, task in out.items() if who != rater}
        out[rater] = number
        if move != "leave":
            queue.done(number, rater, move == "pass")
            answers[number] += move == "answer"
            del out[rater]
    assert all(len(seen) == len(set(seen)) for seen in given_to.values())
    assert not answers or max(answers.values()) <= 1


def test_enough_raters_finish_everything_first_showings_first() -> None:
    queue = _queue(pairs=20, overlap=2)
    order = []
    for rater in (1, 2):
        while (number := queue.next(rater, 0.0)) is not None:
            order.append(queue.showings[number])
            queue.done(number, rater, passed=False)
    assert len(order) == 40 and [showing.replica for showing in order] == [0] * 20 + [1] * 20
    assert queue.left(3) == 0


def test_a_task_left_lying_goes_to_somebody_else() -> None:
    queue = _queue(pairs=1, overlap=1)
    assert queue.next(1, 0.0) == 1 and queue.next(1, LEASE_S - 1) == 1
    assert queue.next(2, LEASE_S - 1) is None
    assert queue.next(2, LEASE_S + 1) == 1
    assert queue.may_touch(1, 1) and not queue.may_touch(1, 3)


def test_what_the_server_knows_counts_after_a_restart() -> None:
    queue = _queue(pairs=3, overlap=1)
    for number, cancelled in ((1, False), (2, True), (3, False)):
        done = {"id": number * 10, "completed_by": 7, "was_cancelled": cancelled}
        queue.hear({"id": number, "annotations": [done]}, {30: True})
    assert queue.made[7] == {1: 10, 2: 20, 3: 30}
    assert queue.answered[1] == {7} and queue.passed[2] == {7} and queue.passed[3] == {7}
    assert queue.next(7, 0.0) is None and queue.next(8, 0.0) in (2, 3) and queue.may_touch(1, 7)


def test_pages_that_were_open_during_a_restart_may_be_sent() -> None:
    queue = _queue(pairs=2, overlap=2)
    assert queue.claim(1, rater=7, now=0.0) and queue.may_touch(1, 7) and queue.next(7, 0.0) == 1
    # Neither a task that somebody else holds, nor the other showing of a pair that one has seen, nor a stranger's.
    assert not queue.claim(1, 8, 0.0) and not queue.claim(2, 7, 0.0) and not queue.claim(99, 7, 0.0)
    queue.done(1, 7, passed=False)
    assert not queue.claim(1, 8, 0.0) and queue.claim(1, 7, 0.0)


def test_what_was_done_here_is_newer_than_what_the_server_knew_before() -> None:
    queue = _queue(pairs=1, overlap=1)
    skipped = {"id": 1, "annotations": [{"id": 5, "completed_by": 3, "was_cancelled": True}]}
    assert queue.next(7, 0.0) == 1
    queue.done(1, 7, passed=False, annotation=6, now=20.0)
    queue.hear(skipped, {}, asked=10.0)
    assert queue.next(8, 21.0) is None
    queue.hear(skipped, {}, asked=30.0)
    assert queue.next(8, 31.0) == 1


def test_what_comes_next_is_what_nobody_has_and_a_lost_task_is_never_dealt() -> None:
    queue = _queue(pairs=4, overlap=1)
    order = queue.ahead(9, 0.0)
    assert sorted(order) == [1, 2, 3, 4] and queue.next(7, 0.0) == order[0]
    queue.done(order[0], 7, passed=False)
    assert queue.next(7, 0.0) == order[1] and queue.ahead(1, 0.0) == [order[2]]
    queue.drop(order[2])
    assert queue.ahead(9, 0.0) == [order[3]] and queue.next(8, 0.0) == order[3]

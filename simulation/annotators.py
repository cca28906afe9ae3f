"""The simulated annotators: an annotation back end whose raters judge by the exact gold score of the pixels.

Each task is answered by one of `n_raters`, another one for each replica of a pair. Raters of a population share its
taste; noise, lean to the left, tie width and fatigue are their own (raters.py); a few are spammers, a few copy what
one other rater said about the same pair. With `shuffle` every pair is answered as if another pair of the same campaign
had been shown, by a permutation of its own for each dimension: labels keep their shares and raters their agreement,
and nothing of them is about the pictures. That is the placebo.

Reasons use the vocabulary of `simulation.vlm` and speak of the winner without its place: "larger", "warmer and closer
to the prompt" (fitting "image 2 is ..."); ties say "both same", both-bad says "both bad". They name the one or two
scores that gave the winner its lead, so a vote that noise turned round gives what spoke for its winner, or no reason.

Answers depend on the rater, the pair and the dimension by hash, never on a clock or on what else is asked; only the
placebo's permutation and copied answers depend on the set of tasks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache

from annotation.backend import GoldItem, PairView, Pulled, ShownVote, Task
from annotation.items import ItemTask, ItemVote
from simulation.gold import score_media
from simulation.raters import Rater, answer, difficulty, draws, inspect, make_rater
from simulation.tastes import TASTES, utility
from warehouse import Warehouse
from warehouse.errors import ConfigError
from warehouse.hashing import content_id
from warehouse.media.store import MediaStore

_START = datetime(2026, 1, 5, 9)
_MIRROR = {"left": "right", "right": "left"}
# A reason names a score that gives at least this much of the utility, and at most the two largest.
_REASON_AT_LEAST = 0.02
_HIGHER = {"alignment": "closer to the prompt", "quality": "cleaner", "motion": "more steady", "size": "larger",
           "warmth": "warmer"}
_LOWER = {"size": "smaller", "warmth": "cooler"}
Scores = Mapping[str, float]


@lru_cache(maxsize=65536)
def _scores(store: MediaStore, media_id: str, prompt: str) -> Scores:
    """Gold scores of a stored medium; back end and gold source share them."""
    return score_media(store.get(media_id), prompt)


def reasons(winner: Scores, loser: Scores, taste: str, dimension: str) -> str:
    """What gave the winner its lead, largest first, in words; "" where nothing did."""
    lead = {}
    for name in _HIGHER:
        without = utility({**winner, name: loser[name]}, taste, dimension)
        lead[name] = utility(winner, taste, dimension) - without
    named = sorted((name for name in lead if lead[name] >= _REASON_AT_LEAST), key=lambda name: -lead[name])[:2]
    words = [_LOWER[name] if name in _LOWER and winner[name] < loser[name] else _HIGHER[name] for name in named]
    return " and ".join(words)


def _population(taste: str, seed: int, sizes: dict[str, int], minority: tuple[str, float], noise: float) -> list[Rater]:
    """Spammers first, then copiers, then careful raters, the last of them with the minority's taste."""
    behaviours = ["spammer"] * sizes["spammers"] + ["copier"] * sizes["copiers"]
    careful = sizes["raters"] - len(behaviours)
    other = round(careful * minority[1])
    tastes = [taste] * (sizes["raters"] - other) + [minority[0]] * other
    behaviours += ["careful"] * careful
    return [
        make_rater(taste, index, seed, tastes[index], behaviour, noise) for index, behaviour in enumerate(behaviours)
    ]


class SimulatedAnnotators:
    """Back end of simulated raters; `minority_taste` gives a share of the careful ones another population's taste.

    `hardness_spread` makes some items harder for everybody (standard deviation of the log of the noise's factor); an
    item of at least the utility `pass_limit` passes, give or take a rater's own limit.
    """

    rater_kind = "simulated"

    def __init__(
        self,
        warehouse: Warehouse,
        taste: str = "large_warm",
        seed: int = 0,
        shuffle: bool = False,
        n_raters: int = 24,
        spammers: int = 2,
        copiers: int = 2,
        noise: float = 0.06,
        minority_taste: str = "",
        minority_share: float = 0.0,
        hardness_spread: float = 0.0,
        pass_limit: float = 0.6,
    ) -> None:
        unknown = {taste, minority_taste or taste} - set(TASTES)
        if unknown or not 0.0 <= minority_share <= 0.5 or n_raters - spammers - copiers < max(copiers, 1):
            raise ConfigError(
                f"a population of {n_raters} raters, {spammers} spammers, {copiers} copiers, tastes {taste!r} and "
                f"{minority_taste!r} ({minority_share})",
                hint=f"tastes are {', '.join(TASTES)}; each copier needs a careful rater to copy",
            )
        self.seed, self.shuffle, self._hardness_spread, self._pass_limit = seed, shuffle, hardness_spread, pass_limit
        sizes = {"raters": n_raters, "spammers": spammers, "copiers": copiers}
        self.raters = _population(taste, seed, sizes, (minority_taste or taste, minority_share), noise)
        copied = range(spammers + copiers, spammers + 2 * copiers)
        self.copied = {self.raters[spammers + k].name: self.raters[index] for k, index in enumerate(copied)}
        self._media = warehouse.media
        self._tasks: dict[str, Task] = {}
        self._turns: dict[str, list[Rater]] = {}
        self._by_rater: dict[tuple[str, str], Task] = {}
        self._items: dict[str, ItemTask] = {}

    def publish(self, tasks: Sequence[Task]) -> list[str]:
        """Takes the tasks in; a task that is there stays as it is."""
        for task in tasks:
            self._tasks.setdefault(task.task_id, task)
            self._by_rater.setdefault((self.rater_of(task).name, task.pair_id), task)
        return [f"simulated:{task.task_id[:12]}" for task in tasks]

    def pull(self, since: str) -> Pulled:
        """All answers, or none where the cursor says that they have been given."""
        cursor = content_id("simulated votes", *sorted(self._tasks))
        if since == cursor:
            return Pulled((), cursor)
        return Pulled(tuple(self._votes()), cursor)

    def publish_items(self, tasks: Sequence[ItemTask]) -> list[str]:
        """Single candidates, to be passed or failed."""
        for task in tasks:
            self._items.setdefault(task.task_id, task)
        return [f"simulated:{task.task_id[:12]}" for task in tasks]

    def pull_items(self) -> list[ItemVote]:
        """All answers about items; a copier looks for themselves here, there is nobody's answer to see."""
        return [self._verdict(task, dimension) for task in self._items.values() for dimension in task.dimensions]

    def _verdict(self, task: ItemTask, dimension: str) -> ItemVote:
        rater = self._turn(task.candidate_id, task.replica)
        value = utility(_scores(self._media, task.media_id, task.prompt), rater.taste, dimension)
        hardness = difficulty(task.candidate_id, self._hardness_spread)
        label, seconds = inspect(rater, task.candidate_id, dimension, value, self._pass_limit, hardness)
        when = draws("time", self.seed, task.candidate_id)[0] * 5 * 86400 + task.replica * 600
        return ItemVote(task.task_id, dimension, rater.name, label, _START + timedelta(seconds=round(when)),
                        round(seconds, 2))

    def rater_of(self, task: Task) -> Rater:
        """Replicas of a pair go to different raters as long as there are enough of them."""
        return self._turn(task.pair_id, task.replica)

    def _turn(self, name: str, replica: int) -> Rater:
        if name not in self._turns:
            order = sorted(self.raters, key=lambda rater: content_id("turn", self.seed, name, rater.name))
            self._turns[name] = order
        return self._turns[name][replica % len(self.raters)]

    def _votes(self) -> Iterator[ShownVote]:
        dimensions = sorted({name for task in self._tasks.values() for name in task.dimensions})
        seen = {name: self._stand_ins(name) for name in dimensions}
        for task in self._tasks.values():
            for dimension in task.dimensions:
                yield self._vote(task, seen[dimension].get(task.pair_id, task), dimension)

    def _stand_ins(self, dimension: str) -> dict[str, Task]:
        """For the placebo, another pair's task for each pair: one cycle through all pairs in hash order."""
        if not self.shuffle:
            return {}
        first = {task.pair_id: task for task in self._tasks.values() if dimension in task.dimensions}
        cycle = sorted(first, key=lambda pair_id: content_id("placebo", self.seed, dimension, pair_id))
        return {pair: first[other] for pair, other in zip(cycle, [*cycle[1:], *cycle[:1]], strict=True)}

    def _vote(self, task: Task, shown: Task, dimension: str) -> ShownVote:
        rater = self.rater_of(task)
        model, asked = rater, task
        if rater.name in self.copied:
            model = self.copied[rater.name]
            asked = self._by_rater.get((model.name, task.pair_id), task)
        label, seconds = self._answer(model, asked, shown, dimension)
        if _turned(asked, task):
            label = _MIRROR.get(label, label)
        at = self._time(task, rater)
        return ShownVote(
            task_id=task.task_id,
            pair_id=task.pair_id,
            dimension=dimension,
            rater=rater.name,
            label=label,
            created_at=at,
            updated_at=at,
            seconds=round(seconds, 2),
            rationale=self._reason(rater, task, shown, dimension, label) if task.wants_rationale else "",
        )

    def _sides(self, task: Task, shown: Task) -> tuple[Scores, Scores]:
        """Scores of what is shown for a task; a stand-in is shown the way round that the task is."""
        media = sorted((shown.left_media_id, shown.right_media_id))
        if task.left_media_id > task.right_media_id:
            media.reverse()
        return _scores(self._media, media[0], shown.prompt), _scores(self._media, media[1], shown.prompt)

    def _answer(self, rater: Rater, task: Task, shown: Task, dimension: str) -> tuple[str, float]:
        left, right = (utility(scores, rater.taste, dimension) for scores in self._sides(task, shown))
        hardness = difficulty(task.pair_id, self._hardness_spread)
        return answer(rater, task.pair_id, dimension, left, right, hardness)

    def _reason(self, rater: Rater, task: Task, shown: Task, dimension: str, label: str) -> str:
        if label not in _MIRROR:
            return {"tie": "both same", "both_bad": "both bad"}[label]
        if rater.behaviour == "spammer":
            words = [*_HIGHER.values(), *_LOWER.values()]
            return words[int(draws("reason", rater.name, task.pair_id, dimension)[0] * len(words))]
        left, right = self._sides(task, shown)
        return reasons(*((left, right) if label == "left" else (right, left)), rater.taste, dimension)

    def _time(self, task: Task, rater: Rater) -> datetime:
        """Somewhere in five days by the pair, replicas ten minutes apart; a copier comes half a day later."""
        when = draws("time", self.seed, task.pair_id)[0] * 5 * 86400 + task.replica * 600
        return _START + timedelta(seconds=round(when + (43200 if rater.name in self.copied else 0)))


def _turned(one: Task, other: Task) -> bool:
    """True where two tasks of a pair show it the other way round."""
    return one.left_media_id != other.left_media_id


class ClearPairs:
    """Gold source: pairs whose utilities differ by at least `margin`, with the taste's reasons as explanation."""

    def __init__(self, warehouse: Warehouse, taste: str = "large_warm", margin: float = 0.25) -> None:
        self._media, self._taste, self._margin = warehouse.media, taste, margin

    def items(self, pairs: Sequence[PairView], dimensions: Sequence[str]) -> list[GoldItem]:
        """Known answers in the order of the pairs."""
        return [item for pair in pairs for dimension in dimensions if (item := self._item(pair, dimension))]

    def _item(self, pair: PairView, dimension: str) -> GoldItem | None:
        a, b = (_scores(self._media, media, pair.prompt) for media in (pair.media_a, pair.media_b))
        gap = utility(a, self._taste, dimension) - utility(b, self._taste, dimension)
        if abs(gap) < self._margin:
            return None
        winner, loser = (a, b) if gap > 0 else (b, a)
        text = reasons(winner, loser, self._taste, dimension)
        return GoldItem(pair.pair_id, dimension, "a" if gap > 0 else "b", text)

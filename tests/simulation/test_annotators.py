"""The simulated annotators: true to the gold score, imperfect as planted, empty as a placebo."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from annotation import campaign, consensus
from annotation.backend import PairView, ShownVote, Task
from annotation.ballots import ballots
from annotation.campaign import CampaignConfig
from annotation.consensus import ConsensusConfig
from annotation.guideline import guideline
from annotation.pairing import PairingConfig
from annotation.pairing import run as pair
from annotation.populations import camps
from annotation.tasks import blind_task, pair_views, plan_tasks
from annotation.votes import unswap
from simulation.annotators import ClearPairs, SimulatedAnnotators, reasons
from simulation.gold import score_media
from simulation.prompt_set import image_prompts
from simulation.render import render_image
from simulation.scenes import COLOURS, draw_scene, parse_prompt
from simulation.tastes import utility
from simulation.vlm import vocabulary
from warehouse import Warehouse, open_warehouse
from warehouse.errors import ConfigError
from warehouse.media.encode import encode_png
from warehouse.records import annotator_row, candidate_row, generator_row, prompt_row

DIMENSIONS = ("overall", "text_alignment", "visual_quality")


def _picture(text: str, rng: np.random.Generator) -> bytes:
    """A scene of the prompt, in a third of cases with a wrong colour, more or less blurred and grainy."""
    scene = draw_scene(parse_prompt(text), rng)
    if rng.random() < 0.33:
        first = replace(scene.objects[0], colour=str(rng.choice(list(COLOURS))))
        scene = replace(scene, objects=(first, *scene.objects[1:]))
    blurred = ndimage.gaussian_filter(render_image(scene)[0].astype(float), (rng.random(), rng.random(), 0))
    grainy = blurred + rng.normal(size=blurred.shape) * rng.random() * 12
    return encode_png(np.clip(np.rint(grainy), 0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    """150 prompts with three pictures each, and all 450 pairs."""
    rng = np.random.default_rng(0)
    with open_warehouse(str(tmp_path_factory.mktemp("world"))) as warehouse:
        generator = generator_row("render", "test", "1")
        prompts = [prompt_row(**item) for item in image_prompts(150)]
        made = [
            candidate_row(item["prompt_id"], generator["generator_id"],
                          warehouse.media.put(_picture(item["text"], rng)).media_id, seed, {}, "t2i", "generated")
            for item in prompts for seed in range(3)
        ]
        with warehouse.commit():
            for table, rows in (("generators", [generator]), ("prompts", prompts), ("candidates", made)):
                warehouse.merge(table, rows)
        pair(PairingConfig(pairs_per_prompt=0), warehouse)
        yield warehouse


def _views(world: Warehouse) -> list[PairView]:
    return pair_views(world, "t2i", "", "")[0]


def _tasks(world: Warehouse, overlap: int = 3, rationales: float = 0.0) -> tuple[list[Task], dict[str, str]]:
    """Tasks of all pairs, and which candidate stood left in each."""
    views = _views(world)
    rows = plan_tasks("c", views, (), overlap, 0.0, 0)
    by_id, asked = {view.pair_id: view for view in views}, guideline("t2i", DIMENSIONS, 1)
    tasks = [blind_task(row, by_id[row["pair_id"]], asked, rationales, 0) for row in rows]
    return tasks, {row["task_id"]: row["left_side"] for row in rows}


def _votes(backend: SimulatedAnnotators, tasks: list[Task]) -> list[ShownVote]:
    backend.publish(tasks)
    return list(backend.pull("").votes)


def _gaps(world: Warehouse, taste: str, dimension: str) -> dict[str, float]:
    """Utility of a minus utility of b for each pair."""
    def of(media_id: str, prompt: str) -> float:
        return utility(score_media(world.media.get(media_id), prompt), taste, dimension)

    return {view.pair_id: of(view.media_a, view.prompt) - of(view.media_b, view.prompt) for view in _views(world)}


def _agreement(votes: list[ShownVote], sides: dict[str, str], gaps: dict[str, float], dimension: str) -> float:
    """Share of decided votes for the candidate of larger utility, where the gap is more than 0.1."""
    said = [(unswap(vote.label, sides[vote.task_id]) == "a") == (gaps[vote.pair_id] > 0) for vote in votes
            if vote.dimension == dimension and vote.label in ("left", "right") and abs(gaps[vote.pair_id]) > 0.1]
    assert len(said) > 200
    return float(np.mean(said))


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_votes_follow_the_taste_and_the_placebo_follows_nothing(world: Warehouse, dimension: str) -> None:
    tasks, sides = _tasks(world)
    gaps = _gaps(world, "large_warm", dimension)
    honest = _agreement(_votes(SimulatedAnnotators(world), tasks), sides, gaps, dimension)
    placebo = _agreement(_votes(SimulatedAnnotators(world, shuffle=True), tasks), sides, gaps, dimension)
    other = _agreement(_votes(SimulatedAnnotators(world, taste="small_cool"), tasks), sides, gaps, dimension)
    assert 0.82 < honest < 0.97 and 0.4 < placebo < 0.6
    # The populations share what a prompt says, and half of what makes a picture good over all.
    far = {"overall": 0.1, "text_alignment": -0.05, "visual_quality": 0.25}[dimension]
    assert other < honest - far and (dimension != "text_alignment" or other > 0.8)


def test_the_placebo_keeps_label_shares(world: Warehouse) -> None:
    tasks, _ = _tasks(world)
    shares = [np.mean([vote.label in ("tie", "both_bad") for vote in _votes(backend, tasks)])
              for backend in (SimulatedAnnotators(world), SimulatedAnnotators(world, shuffle=True))]
    assert shares[1] == pytest.approx(shares[0], abs=0.02) and shares[0] > 0.03


def test_answers_depend_on_the_task_alone(world: Warehouse) -> None:
    tasks, _ = _tasks(world, rationales=0.5)
    whole = {(vote.task_id, vote.dimension): asdict(vote) for vote in _votes(SimulatedAnnotators(world), tasks)}
    few = SimulatedAnnotators(world)
    # All replicas of some pairs, in another order, published twice.
    part = tasks[600:900][::-1]
    few.publish(part)
    again = {(vote.task_id, vote.dimension): asdict(vote) for vote in _votes(few, part)}
    assert len(again) == 900 and all(whole[key] == vote for key, vote in again.items())
    cursor = few.pull("").cursor
    assert few.pull(cursor).votes == ()
    few.publish(tasks[:3])
    assert len(few.pull(cursor).votes) == 909


def test_nobody_sees_a_pair_twice(world: Warehouse) -> None:
    tasks, _ = _tasks(world, overlap=5)
    backend = SimulatedAnnotators(world, n_raters=6, spammers=1, copiers=1)
    seen: dict[str, list[str]] = {}
    for task in tasks:
        seen.setdefault(task.pair_id, []).append(backend.rater_of(task).name)
    assert all(len(set(names)) == 5 for names in seen.values())


def test_reasons_are_words_of_the_models_and_true_of_the_winner(world: Warehouse) -> None:
    tasks, sides = _tasks(world, rationales=1.0)
    backend = SimulatedAnnotators(world, spammers=0, copiers=0)
    words, views = set(vocabulary()), {view.pair_id: view for view in _views(world)}
    votes = [vote for vote in _votes(backend, tasks) if vote.rationale]
    assert len(votes) > 3000 and {word for vote in votes for word in vote.rationale.split()} <= words
    for vote in votes:
        view, label = views[vote.pair_id], unswap(vote.label, sides[vote.task_id])
        if label in ("tie", "both_bad"):
            assert vote.rationale == {"tie": "both same", "both_bad": "both bad"}[label]
            continue
        a, b = (score_media(world.media.get(media), view.prompt) for media in (view.media_a, view.media_b))
        winner, loser = (a, b) if label == "a" else (b, a)
        for word, name, sign in (("larger", "size", 1), ("smaller", "size", -1), ("warmer", "warmth", 1),
                                 ("cooler", "warmth", -1), ("cleaner", "quality", 1), ("closer", "alignment", 1)):
            assert word not in vote.rationale or sign * (winner[name] - loser[name]) > 0


def test_reasons_name_the_largest_lead_first() -> None:
    base = {"alignment": 0.5, "quality": 0.5, "motion": 1.0, "size": 0.5, "warmth": 0.5, "presence": 1.0}
    assert reasons(base | {"warmth": 0.9, "quality": 0.9}, base, "large_warm", "overall") == "warmer and cleaner"
    assert reasons(base | {"size": 0.1, "warmth": 0.1}, base, "small_cool", "visual_quality") == "smaller and cooler"
    assert reasons(base | {"alignment": 0.9}, base, "large_warm", "text_alignment") == "closer to the prompt"
    assert reasons(base, base | {"warmth": 0.9}, "large_warm", "overall") == ""


def test_known_answers_are_clear(world: Warehouse) -> None:
    gaps = _gaps(world, "large_warm", "overall")
    items = ClearPairs(world).items(_views(world), ("overall",))
    assert {item.pair_id for item in items} == {name for name, gap in gaps.items() if abs(gap) >= 0.25}
    assert items and all((item.label == "a") == (gaps[item.pair_id] > 0) and item.explanation for item in items)


def test_impossible_populations_are_refused(world: Warehouse) -> None:
    for wrong in ({"taste": "sour"}, {"n_raters": 3}, {"minority_share": 0.7}, {"minority_taste": "sour"}):
        with pytest.raises(ConfigError, match="population"):
            SimulatedAnnotators(world, **wrong)  # type: ignore[arg-type]


def _campaign(**more: Any) -> CampaignConfig:
    given: dict[str, Any] = {
        "name": "demo", "backend": "simulation.annotators:SimulatedAnnotators", "dimensions": DIMENSIONS,
        "votes_per_pair": 4, "gold_share": 0.1, "gold_source": "simulation.annotators:ClearPairs",
        "backend_options": {"n_raters": 12},
    }
    return CampaignConfig(**given | more)


def test_a_campaign_finds_spammers_and_copiers_and_the_taste(world: Warehouse) -> None:
    run = campaign.run(_campaign(), world)
    assert run.outputs["gold_tasks"] == 200 and run.rejected == {}
    merged = consensus.run(ConsensusConfig(campaign_ids=(run.outputs["campaign_id"],)), world)
    raters = SimulatedAnnotators(world, n_raters=12).raters
    planted = {annotator_row("simulated", rater.name)["annotator_id"] for rater in raters
               if rater.behaviour != "careful"}
    assert set(merged.outputs["excluded"]) == planted and len(planted) == 4
    assert merged.outputs["split_pairs"] == 0 and min(merged.outputs["alpha"].values()) > 0.3
    gaps = _gaps(world, "large_warm", "overall")
    rows = world.rows("SELECT pair_id, p_a FROM preferences WHERE consensus_id = ? AND dimension = 'overall'",
                      [merged.outputs["consensus_id"]])
    right = [(row["p_a"] > 0.5) == (gaps[row["pair_id"]] > 0) for row in rows if abs(gaps[row["pair_id"]]) > 0.1]
    assert np.mean(right) > 0.95


def test_two_populations_are_told_apart(world: Warehouse) -> None:
    tasks, sides = _tasks(world, overlap=5)
    backend = SimulatedAnnotators(world, n_raters=12, spammers=0, copiers=0, minority_taste="small_cool",
                                  minority_share=0.33)
    rows = [{"vote_id": vote.task_id, "pair_id": vote.pair_id, "annotator_id": vote.rater, "left_side": None,
             "label": unswap(vote.label, sides[vote.task_id]), "updated_at": vote.updated_at, "seconds": vote.seconds,
             "gold": False, "candidate_a": "", "candidate_b": ""}
            for vote in _votes(backend, tasks) if vote.dimension == "visual_quality"]
    votes = ballots(rows)
    minority = {rater.name for rater in backend.raters if rater.taste == "small_cool"}
    found = {name for name, camp in zip(votes.raters, camps(votes), strict=True) if camp}
    assert found == minority and len(minority) == 4


def test_voting_is_quick(world: Warehouse) -> None:
    """4,050 answers; 18,000 may take 20 s of one core with the scoring of their pictures."""
    tasks, _ = _tasks(world)
    started = time.process_time()
    assert len(_votes(SimulatedAnnotators(world), tasks)) == 4050
    assert time.process_time() - started < 5.0

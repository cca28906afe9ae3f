"""The scheduled syncs: what prefect.yaml names exists, is scheduled, and runs."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.prefect
ROOT = Path(__file__).resolve().parents[2]
DEPLOYMENTS = {item["name"]: item for item in yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]}


def test_every_deployment_names_a_flow_and_its_parameters() -> None:
    from prefect.client.schemas.schedules import construct_schedule

    for item in DEPLOYMENTS.values():
        path, _, name = item["entrypoint"].partition(":")
        flow = getattr(importlib.import_module(path.removesuffix(".py").replace("/", ".")), name)
        assert flow.validate_parameters(item["parameters"])["warehouse"]
        assert [construct_schedule(**schedule) for schedule in item["schedules"]]
    nightly = DEPLOYMENTS["nightly-reconciliation"]
    minute, hour, *days = nightly["schedules"][0]["cron"].split()
    assert days == ["*", "*", "*"] and minute.isdecimal() and hour.isdecimal() and nightly["parameters"]["full"] is True


def test_schedules_become_runs(prefect_environment: dict[str, str]) -> None:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.schedules import construct_schedule

    with get_client(sync_client=True) as client:
        flow = client.create_flow_from_name("sync-votes")
        for name, item in DEPLOYMENTS.items():
            schedules = [{"schedule": construct_schedule(**schedule), "active": True} for schedule in item["schedules"]]
            made = client.create_deployment(flow, name, schedules=schedules, parameters=item["parameters"])
            # What the server's scheduler does once a minute.
            client.request("POST", "/deployments/{id}/schedule", path_params={"id": made}, json={"min_runs": 2})
        found = {(run.state_name, run.auto_scheduled, run.parameters.get("full", False))
                 for run in client.read_flow_runs()}
    assert {("Scheduled", True, True), ("Scheduled", True, False)} <= found


def test_the_flow_runs(tmp_path: Path, prefect_environment: dict[str, str]) -> None:
    from pipelines.flows.sync_votes import sync_votes

    answer = sync_votes(str(tmp_path / "warehouse"), full=True)
    assert answer["changed"] is False and answer["campaigns"] == 0

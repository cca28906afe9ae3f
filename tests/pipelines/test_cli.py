from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def rewarddance(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "pipelines.cli", *arguments], capture_output=True, text=True, cwd=ROOT)


def test_every_command_has_help_with_an_example() -> None:
    from typer.main import get_command

    from pipelines.cli.main import app

    def leaves(command: object, path: str) -> list[tuple[str, str]]:
        children = getattr(command, "commands", None)
        if children is None:
            return [(path, getattr(command, "help", "") or "")]
        return [leaf for name, child in children.items() for leaf in leaves(child, f"{path} {name}".strip())]

    found = leaves(get_command(app), "")
    assert found
    for path, text in found:
        assert "Example: rewarddance" in text, path


@pytest.mark.parametrize("arguments", [("nonsense", "--json"), ("run", "--json")])
def test_wrong_usage_is_2_and_json(arguments: tuple[str, ...]) -> None:
    result = rewarddance(*arguments)
    assert result.returncode == 2
    assert set(json.loads(result.stdout)["error"]) == {"type", "message", "where", "hint"}


def test_a_bad_config_is_2(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("name: x\nstages: []\nsurprise: 1\n")
    result = rewarddance("run", str(tmp_path / "bad.yaml"), "--json")
    assert result.returncode == 2
    assert "surprise" in json.loads(result.stdout)["error"]["message"]


def test_a_missing_config_is_1_with_a_hint(tmp_path: Path) -> None:
    result = rewarddance("run", str(tmp_path / "none.yaml"))
    assert result.returncode == 1
    assert "hint:" in result.stderr


def test_doctor_answers_in_json() -> None:
    result = rewarddance("doctor", "--json")
    document = json.loads(result.stdout)
    assert {item["name"] for item in document["findings"]} >= {"python", "torch", "duckdb", "prefect"}
    assert result.returncode == (0 if document["ok"] else 1)

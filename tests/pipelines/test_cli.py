from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


def rewarddance(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "pipelines.cli", *arguments], capture_output=True, text=True, cwd=ROOT)


def commands() -> list[tuple[str, str]]:
    """(name, help) of every command that does something."""
    from typer.main import get_command

    from pipelines.cli.main import app

    def walk(command: Any, path: str) -> list[tuple[str, str]]:
        children = getattr(command, "commands", {})
        own = [(path, command.help or "")] if not children or command.invoke_without_command else []
        return own + [leaf for name, child in children.items() for leaf in walk(child, f"{path} {name}".strip())]

    return walk(get_command(app), "")


def test_every_command_has_help_with_an_example_that_names_it() -> None:
    found = commands()
    assert {"demo", "run", "generate", "generate ingest", "dataset import", "rm score", "align"} <= dict(found).keys()
    for name, text in found:
        assert f"Example: rewarddance {name}" in text, name


def test_help_answers_at_once() -> None:
    """Processor seconds, the best of three, since a busy machine makes any clock on the wall late."""

    def seconds() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert rewarddance("--help").returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(seconds() for _ in range(3)) < 0.7


def test_every_command_is_documented() -> None:
    documented = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    missing = [name for name, _ in commands() if f"`rewarddance {name}`" not in documented]
    assert not missing


def answer(*arguments: str) -> tuple[int, dict[str, Any]]:
    result = rewarddance(*arguments, "--json")
    return result.returncode, json.loads(result.stdout)


def test_imports_answer_what_this_call_added_and_4_when_asked(tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("a cat\na dog\na cat\n")
    call = ("prompts", "import", "txt", str(tmp_path / "prompts.txt"), "--warehouse", str(tmp_path / "w"))
    code, first = answer(*call, "--fail-if-unchanged")
    assert (code, first["changed"], first["read"], first["prompts"], first["duplicates"]) == (0, True, 3, 2, 1)
    code, second = answer(*call)
    assert (code, second["changed"], second["prompts"], second["already_there"]) == (0, False, 0, 2)
    assert answer(*call, "--fail-if-unchanged")[0] == 4
    assert first.keys() == second.keys()


def test_rejects_over_the_limit_are_3(tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"PK\x03\x04 a ZIP that is called a picture")
    (tmp_path / "manifest.csv").write_text("prompt,path,generator,task\na cat,bad.png,g,t2i\na dog,none.png,g,t2i\n")
    code, document = answer("generate", "ingest", str(tmp_path / "manifest.csv"), "--warehouse", str(tmp_path / "w"))
    assert (code, document["rejects"], document["over_limit"]) == (3, 2, True)
    assert set(document["rejects_by_reason"]) == {"not_media", "media_absent"}


@pytest.mark.parametrize(("content", "word"), [(b"", "empty"), (b"caf\xe9\n", "UTF-8")])
def test_a_prompt_file_that_cannot_be_used(tmp_path: Path, content: bytes, word: str) -> None:
    (tmp_path / "prompts.txt").write_bytes(content)
    path, warehouse = str(tmp_path / "prompts.txt"), str(tmp_path / "w")
    code, document = answer("prompts", "import", "txt", path, "--warehouse", warehouse)
    assert code == 1
    assert word in f"{document['error']['message']} {document['error']['hint']}"
    assert path in document["error"]["where"]


def test_an_unknown_format_is_wrong_usage(tmp_path: Path) -> None:
    code, document = answer("dataset", "import", "nonsense", str(tmp_path), "--warehouse", str(tmp_path / "w"))
    assert (code, document["error"]["type"]) == (2, "ConfigError")
    assert "videoalign" in document["error"]["message"]


def test_a_stage_from_set_options(tmp_path: Path) -> None:
    warehouse = str(tmp_path / "w")
    code, document = answer("annotate", "pairs", "--set", "task=t2i", "--warehouse", warehouse)
    assert (code, document["error"]["hint"]) == (2, "generate or ingest candidates first")
    code, document = answer("annotate", "pairs", "--set", "task", "--warehouse", warehouse)
    assert (code, "KEY=VALUE" in document["error"]["message"]) == (2, True)
    keys = json.loads(rewarddance("annotate", "pairs", "--keys", "--json").stdout)
    assert {"key": "task", "type": "str", "default": "t2i", "required": False} in keys


def test_sql_reads_and_only_reads(tmp_path: Path) -> None:
    warehouse = str(tmp_path / "w")
    result = rewarddance("sql", "SELECT count(*) AS n FROM prompts", "--warehouse", warehouse, "--json")
    assert json.loads(result.stdout) == [{"n": 0}]
    assert rewarddance("sql", "DELETE FROM prompts", "--warehouse", warehouse).returncode == 1


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

"""The commands over dataset versions: one JSON document each, and exit codes that mean something."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from typer.testing import CliRunner

from pipelines import cli
from pipelines.cli.dataset import app
from pipelines.cli.sql_shell import shell
from tests.warehouse.two_versions import Ids
from warehouse import Warehouse
from warehouse.errors import ConfigError

SCHEMA = json.loads((Path(cli.__file__).parent / "dataset.schema.json").read_text(encoding="utf-8"))


def _run(warehouse: Warehouse, *arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, [*arguments, "--warehouse", warehouse.url])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout


def _json(warehouse: Warehouse, *arguments: str) -> Any:
    code, text = _run(warehouse, *arguments, "--json")
    assert code == 0
    answer = json.loads(text)
    if arguments[0] in SCHEMA["$defs"]:
        jsonschema.validate(answer, SCHEMA | {"$ref": f"#/$defs/{arguments[0]}"})
    return answer


def test_questions_answer_one_document(calm: Warehouse, ids: Ids, tmp_path: Path) -> None:
    assert [row["version"] for row in _json(calm, "log", "calm")] == [2, 1]
    found = _json(calm, "diff", "calm@1", "calm@2", "--html", str(tmp_path / "diff.html"), "--limit", "1")
    assert found["counts"]["changed"] == 2 and len(found["changed"]) == 1 and Path(found["page"]).is_file()
    assert _json(calm, "browse", "calm", "--out", str(tmp_path / "b.html"), "--limit", "3")["shown"] == 3
    assert _json(calm, "verify", "calm@1")["ok"]
    tree = _json(calm, "lineage", ids.rationale, "--limit", "2")
    assert (tree["kind"], set(tree)) == ("rationale", {"kind", "id", "sources", "uses"})
    assert "near_prompts" in _json(calm, "leakage", "calm@1")
    assert {"alpha", "ci_low", "same"} <= _json(calm, "agreement", "calm@1")[0].keys()
    assert {"win_rate", "opponent"} <= _json(calm, "winrates", "calm@1")[0].keys()
    assert _json(calm, "forget", "--prompt", calm.rows("SELECT min(prompt_id) AS p FROM prompts")[0]["p"], "--dry-run")
    assert _json(calm, "gc", "--dry-run")["dry_run"]
    assert _json(calm, "list")[0].keys() < _json(calm, "show", "calm@1").keys()


def test_every_document_has_its_keys_written_down() -> None:
    """But for imports, builds and instructions, whose answers docs/cli.md lists: they are a stage's."""
    names = {command.name or (command.callback and command.callback.__name__) for command in app.registered_commands}
    assert names - {"build", "import", "instructions"} == SCHEMA["$defs"].keys() - {"sample", "erased", "record"}


def test_questions_on_the_terminal(calm: Warehouse, ids: Ids, capsys: pytest.CaptureFixture[str]) -> None:
    assert "added" in _run(calm, "diff", "calm@1", "calm@2")[1]
    text = _run(calm, "lineage", "reward-1", "--direction", "sources", "--limit", "1")[1]
    assert "sources: reward reward-1" in text and "dataset calm@1" in text and "more" in text
    assert "win_rate" in _run(calm, "winrates", "calm@1")[1]
    with pytest.raises(ConfigError):
        _run(calm, "lineage", "reward-1", "--direction", "sideways")
    with pytest.raises(ConfigError, match="one of"):
        _run(calm, "forget", "--prompt", "x", "--media", "y")


def test_a_recipe_file_tags_export_and_damage(mine: Warehouse, ids: Ids, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(f"name: yaml\nconsensus_ids: [{ids.consensus[0]}]\nannotator_kinds: [human]\nsources: [test]\n")
    built = _json(mine, "build", str(recipe), "--set", "dimensions=[overall]")
    assert (built["version"], sum(built["samples"].values()), built["changed"]) == (1, 11, True)
    nobody = _json(mine, "build", str(recipe), "--set", "generators=[tiny, moon]")
    assert set(nobody["left_out"]) == {"other_generator"}
    recipe.write_text("- not a mapping\n")
    with pytest.raises(ConfigError, match="mapping"):
        _run(mine, "build", str(recipe))
    assert _json(mine, "tag", "yaml@1", "first")["changed"]
    assert _run(mine, "tag", "yaml@1", "first", "--fail-if-unchanged")[0] == 4
    assert [row["to_version"] for row in _json(mine, "tag", "yaml")] == [1]
    said = _json(mine, "export", "yaml@first", "--to", "jsonl", "--out", str(tmp_path / "out"))
    assert said["version"] == "yaml@1" and (tmp_path / "out" / "README.md").is_file()
    next((mine.root / "datasets" / "yaml" / "v1").rglob("*.tar")).unlink()
    assert _run(mine, "verify", "yaml@first")[0] == 1


def test_the_shell_answers_until_its_input_ends(
    calm: Warehouse, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = iter([".views", "SELECT count(*) AS n", "FROM dataset_history;", "SELECT nonsense;", "SELECT 7 AS last"])

    def read(prompt: str = "") -> str:
        try:
            return next(lines)
        except StopIteration as error:
            raise EOFError from error

    monkeypatch.setattr("builtins.input", read)
    shell(calm, 10, None)
    said = capsys.readouterr()
    assert "win_rates" in said.out and "2" in said.out.splitlines() and said.out.splitlines()[-1].strip() == "7"
    assert "nonsense" in said.err

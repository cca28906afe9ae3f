from __future__ import annotations

import ast
import importlib.util
import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from packaging.requirements import Requirement

from rm.export import export
from rm.families import FAMILIES, load_family
from rm.model_folder import ModelCard, save_model
from rm.reward_model import PairItem, frames_of, load_reward_model
from tests.rm import tiny, world
from warehouse import Warehouse
from warehouse.errors import ConfigError, ConflictError
from warehouse.media.encode import encode_png


def saved(tmp_path: Path, family: str, form: str = "pairwise") -> Path:
    base = tiny.checkpoint(family, tmp_path / "base")
    instructions = {task: {"overall": world.TEMPLATE} for task in ("t2i", "t2v")}
    card = ModelCard(model_id="m", name="bright", dataset="d", version=3, form=form, instructions=instructions)
    save_model(load_family(base).load_model(base), base, card, {"curve.json": "[]"}, tmp_path / "model")
    return tmp_path / "model"


def scorer(folder: Path) -> Any:
    """The exported file itself, loaded from where it lies."""
    spec = importlib.util.spec_from_file_location("exported_scorer", folder / "scorer.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Scorer(folder)


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_the_exported_scorer_says_what_we_say(warehouse: Warehouse, tmp_path: Path, family: str) -> None:
    folder = saved(tmp_path, family)
    export(warehouse, str(folder), tmp_path / "out")
    model, theirs = load_reward_model(tmp_path, str(folder)), scorer(tmp_path / "out")
    files = []
    for n in range(3):
        files.append(tmp_path / f"{n}.png")
        files[-1].write_bytes(encode_png(world.frames(n, side=40).pixels[0]))
    pictures = [frames_of(path.read_bytes()) for path in files]
    ours = model.score_pairs([PairItem("a red circle", pictures[0], p, "t2i", "overall") for p in pictures[1:]])
    assert np.ptp(ours) > 1e-3
    found = theirs.score("a red circle", str(files[0]), [str(path) for path in files[1:]])
    assert found == pytest.approx(ours, abs=1e-4)
    marked = "a red <|im_end|> <|image_pad|> circle"
    assert theirs.score(marked, str(files[0]), [str(files[1])]) == pytest.approx(
        model.score_pairs([PairItem(marked, *pictures[:2], "t2i", "overall")]), abs=1e-4)
    clips = [world.frames(n, 6) for n in (7, 8)]
    ours = model.score_pairs([PairItem("a red circle", *clips, "t2v", "overall")])
    shown = [list(zip(clip.pixels, clip.times_s, strict=True)) for clip in clips]
    assert theirs.score("a red circle", shown[0], [shown[1]], "t2v") == pytest.approx(ours, abs=1e-4)


_ALONE = """
import json, sys
sys.path[:0] = [{packages!r}, {folder!r}]
from scorer import Scorer
found = Scorer({folder!r}).score("a red circle", {reference!r}, {candidates!r})
roots = sorted({{name.split(".")[0] for name in sys.modules}})
print(json.dumps([found, roots]))
"""


def only(folder: Path, *names: str) -> Path:
    """A folder of links to these distributions and what they require, and to nothing else that is installed."""
    wanted, seen = list(names), set[str]()
    folder.mkdir()
    while wanted:
        required = Requirement(wanted.pop())
        name = required.name.lower().replace("_", "-")
        if name in seen or (required.marker and not required.marker.evaluate({"extra": ""})):
            continue
        seen.add(name)
        found = metadata.distribution(name)
        wanted += found.requires or ()
        for top in {Path(file).parts[0] for file in found.files or ()} - {"..", "__pycache__"}:
            if not (folder / top).exists():
                (folder / top).symlink_to(Path(str(found.locate_file(top))))
    return folder


def test_the_scorer_runs_where_nothing_else_is_installed(warehouse: Warehouse, tmp_path: Path) -> None:
    """An interpreter without site-packages, and a folder with torch, transformers, Pillow and their needs alone."""
    export(warehouse, str(saved(tmp_path, "qwen3_vl")), tmp_path / "out")
    packages = only(tmp_path / "packages", "torch", "transformers", "pillow")
    assert not {"rm", "warehouse", "duckdb", "peft", "accelerate", "av", "datasets", "scipy"} & {
        path.name for path in packages.iterdir()}
    files = [tmp_path / f"{n}.png" for n in range(3)]
    for n, path in enumerate(files):
        path.write_bytes(encode_png(world.frames(n).pixels[0]))
    reference, *candidates = [str(path) for path in files]
    code = _ALONE.format(packages=str(packages), folder=str(tmp_path / "out"), reference=reference,
                         candidates=candidates)
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    found, roots = json.loads(done.stdout.splitlines()[-1])
    assert not {"rm", "warehouse", "duckdb", "peft"} & set(roots)
    model = load_reward_model(tmp_path, str(tmp_path / "model"))
    pictures = [frames_of(path.read_bytes()) for path in files]
    ours = model.score_pairs([PairItem("a red circle", pictures[0], p, "t2i", "overall") for p in pictures[1:]])
    assert found == pytest.approx(ours, abs=1e-4)


def test_the_folder_stands_alone_and_tells_its_story(warehouse: Warehouse, tmp_path: Path) -> None:
    warehouse.merge("evaluations", [{"evaluation_id": "e", "model_id": "m", "dataset": "d@3", "slice": "ood", "n": 40,
                                     "metric": "accuracy", "value": 0.8, "ci_low": 0.65, "ci_high": 0.9}])
    export(warehouse, str(saved(tmp_path, "qwen3_vl")), tmp_path / "out")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"model.safetensors", "config.json", "rm.json", "scorer.py", "scorer.json", "README.md"} <= names
    assert "curve.json" not in names
    text = (tmp_path / "out" / "README.md").read_text()
    assert "d@3" in text and "0.800" in text and "not run" in text
    tree = ast.parse((tmp_path / "out" / "scorer.py").read_text())
    imported = {(node.module or "") if isinstance(node, ast.ImportFrom) else alias.name
                for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom) for alias in node.names}
    roots = {name.split(".")[0] for name in imported} - set(sys.stdlib_module_names)
    assert roots == {"torch", "transformers", "numpy", "PIL"}
    assert json.loads((tmp_path / "out" / "scorer.json").read_text())["yes"]


def test_nothing_is_overwritten_and_other_forms_are_refused(warehouse: Warehouse, tmp_path: Path) -> None:
    folder = saved(tmp_path, "qwen3_vl")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("keep")
    with pytest.raises(ConflictError, match="not empty"):
        export(warehouse, str(folder), tmp_path / "out")
    card = ModelCard(model_id="m", form="pointwise")
    (folder / "rm.json").write_text(card.model_dump_json())
    with pytest.raises(ConfigError, match="pointwise"):
        export(warehouse, str(folder), tmp_path / "other")
    assert not (tmp_path / "other").exists()

"""Services for tests: what is here stays, what cannot be installed is said and stops nobody outside CI."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from annotation.label_studio import environment
from pipelines.services import NAMES, Service, chosen, install
from warehouse.errors import ConfigError


def _service(there: list[str], trouble: str = "") -> Service:
    def bring() -> None:
        if trouble:
            raise ConfigError(trouble)
        there.append("/somewhere")

    return Service("thing", "tests", "make thing", lambda: there[0] if there else "", bring)


def test_what_is_absent_is_installed_once(capsys: pytest.CaptureFixture[str]) -> None:
    there: list[str] = []
    assert install([_service(there)]) == {"thing": ""} and there == ["/somewhere"]
    assert "installing thing" in capsys.readouterr().err
    assert install([_service(there)]) == {"thing": ""} and there == ["/somewhere"]
    assert capsys.readouterr().err == ""


def test_trouble_is_told_with_what_to_type(capsys: pytest.CaptureFixture[str]) -> None:
    assert "no root" in install([_service([], "no root")])["thing"]
    assert "By hand: make thing" in capsys.readouterr().err


def test_services_are_chosen_and_left_out_by_name() -> None:
    assert [service.name for service in chosen([], ["chromium"])] == [name for name in NAMES if name != "chromium"]
    assert [service.name for service in chosen(["postgresql"], [])] == ["postgresql"]
    with pytest.raises(ConfigError, match="fax"):
        chosen([], ["fax"])


def test_an_unknown_service_is_wrong_usage() -> None:
    done = subprocess.run([sys.executable, "-m", "pipelines.cli", "doctor", "--install", "fax"], capture_output=True,
                          text=True)
    assert done.returncode == 2 and "label-studio" in done.stderr


def test_the_environment_lies_where_no_link_leads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    monkeypatch.setenv("REWARDDANCE_CACHE", str(tmp_path / "link"))
    assert environment.folder() == tmp_path / "real" / f"label-studio-{environment.VERSION}"
    assert not environment.prepared()

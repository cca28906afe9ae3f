"""Where the behaviour suite runs: an embedded folder, PostgreSQL with a folder, PostgreSQL with S3."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.warehouse.catalog import servers
from tests.warehouse.catalog.servers import MakeUrl

PLACES = [
    pytest.param("folder"),
    pytest.param("postgres", marks=pytest.mark.postgres),
    pytest.param("postgres+s3", marks=[pytest.mark.postgres, pytest.mark.s3]),
]


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    with servers.postgres() as url:
        yield url


@pytest.fixture(scope="session")
def s3_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The S3 stand-in, named in the environment as every AWS tool reads it."""
    settings = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "REWARDDANCE_CACHE": str(tmp_path_factory.mktemp("cache")),
    }
    with servers.s3() as endpoint, pytest.MonkeyPatch.context() as patch:
        for name, value in {**settings, "AWS_ENDPOINT_URL": endpoint}.items():
            patch.setenv(name, value)
        yield endpoint


@pytest.fixture(params=PLACES)
def make_url(request: pytest.FixtureRequest, tmp_path: Path) -> MakeUrl:
    """A function that gives the URL of a new, empty place of this kind at every call."""
    count = 0

    def make() -> str:
        nonlocal count
        count += 1
        if request.param == "folder":
            return str(tmp_path / f"w{count}")
        name = f"w{os.urandom(6).hex()}"
        server = servers.make_database(request.getfixturevalue("postgres_server"), name)
        if request.param == "postgres":
            return f"{server}?data={tmp_path / name}"
        request.getfixturevalue("s3_endpoint")
        return f"{server}?data=s3://lake/{name}"

    return make

"""Object storage behind a warehouse: versions of one machine read on another, over connections that drop."""

from __future__ import annotations

import pickle
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.warehouse import sample_shards
from warehouse.errors import CorruptDataError, NotFoundError
from warehouse.remote import Remote, remember
from warehouse.shards import open_split

pytestmark = pytest.mark.s3


class _Dropping:
    """A proxy that cuts every third connection after a few thousand bytes of the answer."""

    def __init__(self, upstream: str) -> None:
        parts = urlsplit(upstream)
        self._upstream = (parts.hostname or "", parts.port or 0)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.connections = self.cut = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            server = socket.create_connection(self._upstream)
            limit = 3000 if self.connections % 3 == 1 else None
            threading.Thread(target=self._pump, args=(client, server, None), daemon=True).start()
            threading.Thread(target=self._pump, args=(server, client, limit), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, limit: int | None) -> None:
        sent = 0
        try:
            while data := source.recv(2048):
                target.sendall(data)
                sent += len(data)
                if limit is not None and sent > limit:
                    self.cut += 1
                    break
        except OSError:
            pass
        for end in (source, target):
            end.close()


@pytest.fixture
def proxy(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[_Dropping]:
    dropping = _Dropping(s3_endpoint)
    monkeypatch.setenv("AWS_ENDPOINT_URL", dropping.url)
    yield dropping
    dropping.close()


def _published(root: Path, name: str, samples: int) -> Remote:
    """A split whose files lie in object storage only; the folder knows where."""
    folder = sample_shards.write(root, samples)
    remote = Remote(f"s3://lake/{name}")
    for path in folder.iterdir():
        remote.write(path.relative_to(root).as_posix(), path)
    shutil.rmtree(root / "datasets")
    remember(root, remote.url)
    return remote


def test_objects(s3_endpoint: str, tmp_path: Path) -> None:
    remote = Remote("s3://lake/objects")
    (tmp_path / "x").write_bytes(b"0123456789")
    for name in ("a/b/one.png", "a/b/onetwo.png", "a/c.png"):
        remote.write(name, tmp_path / "x")
    assert remote.names("a/b/one.") == ["a/b/one.png"] and remote.names("nothing/") == []
    assert remote.names("a/") == ["a/b/one.png", "a/b/onetwo.png", "a/c.png"]
    assert remote.read("a/c.png", 2, 3) == b"234" and remote.read("a/c.png", 8, 100) == b"89"
    assert pickle.loads(pickle.dumps(remote)).read("a/c.png") == b"0123456789"
    assert remote.fetch("a/c.png", tmp_path / "copy").read_bytes() == b"0123456789"
    remote.remove("a/c.png")
    remote.remove("a/c.png")
    with pytest.raises(NotFoundError):
        remote.read("a/c.png")


def test_a_split_is_read_where_it_was_never_written(s3_endpoint: str, tmp_path: Path) -> None:
    remote = _published(tmp_path, "split", 12)
    dataset = open_split(tmp_path, "small", 1, "train")
    samples = dataset.__getitems__(dataset.plan(0, 1).tolist())
    assert sorted(sample.key for sample in samples) == [f"key{i:04d}" for i in range(12)]
    assert not list(tmp_path.rglob("*.tar"))
    for name in remote.names("datasets/"):
        if name.endswith(".tar"):
            remote.remove(name)
    with pytest.raises(CorruptDataError, match=r"gone.*key0000"):
        dataset[0]


def test_dropped_connections_cost_no_sample(s3_endpoint: str, tmp_path: Path, proxy: _Dropping) -> None:
    _published(tmp_path, "dropping", 24)
    dataset = open_split(tmp_path, "small", 1, "train")
    assert [sample.key for sample in dataset.__getitems__(range(24))] == [f"key{i:04d}" for i in range(24)]
    assert proxy.cut > 0

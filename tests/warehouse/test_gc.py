from __future__ import annotations

from warehouse import Warehouse
from warehouse.datasets.verify import verify
from warehouse.gc import DAY_S, collect


def test_only_what_nothing_needs_goes(mine: Warehouse) -> None:
    assert collect(mine, dry_run=True, older_s=0)["garbage"] == []
    mine.rows("INSERT INTO media (media_id) VALUES ('kept')")
    strays = {
        "media": mine.root / "media" / "sha256" / "ab" / "cd" / "abcd.png",
        "temporary": mine.root / "media" / "sha256" / "ab" / "cd" / ".part-x",
        "version": mine.root / "datasets" / "calm" / "v9" / "train" / "index.parquet",
    }
    for path in strays.values():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"0123456789")
    kept = mine.root / "media" / "sha256" / "ab" / "cd" / "kept.png"
    kept.write_bytes(b"needed")
    assert collect(mine, dry_run=True, older_s=DAY_S)["files"] == 0
    found = collect(mine, dry_run=True, older_s=0)
    assert found["by_kind"] == {"media": 1, "temporary": 1, "version": 1}
    assert (found["bytes"], found["changed"]) == (30, False)
    assert all(path.exists() for path in strays.values())
    assert collect(mine, dry_run=False, older_s=0)["changed"]
    assert not any(path.exists() for path in strays.values()) and kept.exists()
    assert verify(mine, "calm@1")["ok"] and verify(mine, "calm@2")["ok"]

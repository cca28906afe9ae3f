"""`python -m tests.warehouse.build_and_stop WAREHOUSE NAME N`: builds NAME and stops at the N-th report of progress.

It says `open` when it starts and the report's note where it stops, so that a test can kill it there; N = 0 never stops.
"""

from __future__ import annotations

import sys
import time

from tests.warehouse.preference_rows import config
from warehouse import open_warehouse
from warehouse.datasets import build
from warehouse.stage import on_progress


def main(url: str, name: str, stop_at: int) -> None:
    reports = 0

    def stop(_: int, __: int, note: str) -> None:
        nonlocal reports
        reports += 1
        if reports == stop_at:
            print(note, flush=True)
            time.sleep(600)

    with open_warehouse(url) as warehouse, on_progress(stop):
        print("open", flush=True)
        build.run(config(name=name), warehouse)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))

"""`python -m benchmarks._writer URL NAME LOG`: writes whole batches for ever; LOG names each one after its commit.

A batch is one picture and four prompts in one commit. After a kill the same command goes on behind the last
acknowledged batch, so it may write again what was committed without being acknowledged. Any error is a line `error …`.
"""

from __future__ import annotations

import os
import sys
from itertools import count
from pathlib import Path

from warehouse import open_warehouse

PROMPTS = 4


def main(url: str, name: str, log: Path) -> None:
    """Never returns but by an error or a signal."""
    done = log.read_bytes().splitlines(keepends=True) if log.exists() else []
    # A kill may cut the last line: it is no acknowledgement.
    start = sum(line.endswith(b"\n") for line in done)
    with log.open("r+b" if log.exists() else "w+b", buffering=0) as file:
        file.truncate(file.seek(sum(len(line) for line in done if line.endswith(b"\n"))))
        try:
            with open_warehouse(url) as warehouse:
                for number in count(start):
                    batch = f"{name}-{number}"
                    with warehouse.commit():
                        warehouse.merge("prompts", [{"prompt_id": f"{batch}-{i}"} for i in range(PROMPTS)])
                        warehouse.merge("media", [{"media_id": batch}])
                    file.write(f"{batch}\n".encode())
                    os.fsync(file.fileno())
        except Exception as error:
            log.with_suffix(".error").open("a").write(f"{error!r}\n")
            raise


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))

"""`python -m annotation.gateway WAREHOUSE PORT [HOST]`: the raters' server as a process of its own, on loopback."""

from __future__ import annotations

import logging
import sys

import uvicorn

from annotation.gateway.app import Gateway


def main() -> None:
    """Serve until told to stop. httpx would log every address, and addresses hold tokens: it logs warnings only."""
    logging.basicConfig(level=logging.WARNING)
    url, port = sys.argv[1], int(sys.argv[2])
    host = sys.argv[3] if len(sys.argv) > 3 else "127.0.0.1"
    uvicorn.run(Gateway(url).app(), host=host, port=port, access_log=False, log_level="warning")


if __name__ == "__main__":
    main()

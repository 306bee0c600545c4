"""`python -m dashboard`: serve the pages until stopped.

Decides only where to listen and which API to ask; everything else is in `asgi` and `options`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Final

import uvicorn

LOCAL_NAMES: Final = ("localhost", "127.0.0.1")


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m dashboard", description=__doc__)
    parser.add_argument(
        "--api", default="http://127.0.0.1:8600", help="address of `modelwitness serve`"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=8601, help="port to listen on")
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="further host name under which browsers may open the pages; repeatable",
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Start the server and block until it is stopped."""
    wanted = arguments(argv)
    # Streamlit costs a second to import: `--help` must not wait for it.
    from dashboard.asgi import build

    names = tuple(dict.fromkeys((*LOCAL_NAMES, wanted.host, *wanted.allow_host)))
    uvicorn.run(
        build(wanted.api, wanted.host, wanted.port, names),
        host=wanted.host,
        port=wanted.port,
        ws="websockets-sansio",
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=2,
    )


if __name__ == "__main__":
    main()

"""Routes: the log as C2SP tlog-tiles, and which log this is.

Tiles and checkpoint need no token: leaves hold no personal data, and whoever verifies the log
must not depend on anyone's permission. One store has the name "main".
"""

from collections.abc import Sequence
from pathlib import PurePosixPath

import msgspec
from litestar import MediaType, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from audit.api.reads import OPEN, Asked, Reads
from audit.errors import NotFound, Rejected
from audit.problems import documented
from audit.tiles import WIDTH, Tile

STORE = "main"


class Log(msgspec.Struct, frozen=True):
    """Which log this is and how far it goes: pin `vkey` to verify it."""

    origin: str
    vkey: str
    size: int
    checkpoint: str
    store: str


def open_routes(reads: Reads) -> Sequence[HTTPRouteHandler]:
    """The routes that need no token."""

    @get(
        "/log/{store:str}/checkpoint",
        sync_to_thread=True,
        media_type=MediaType.TEXT,
        security=OPEN,
        responses=documented(404),
        summary="The newest signed checkpoint",
        tags=["log"],
    )
    def checkpoint(store: FromPath[str]) -> Response[str]:
        """A signed note (c2sp.org/tlog-checkpoint)."""
        _known(store)
        text = reads.store.ledger.checkpoint().decode()
        return Response(text, media_type=MediaType.TEXT, headers={"Cache-Control": "no-store"})

    @get(
        "/log/{store:str}/tile/{tile:path}",
        sync_to_thread=True,
        media_type="application/octet-stream",
        security=OPEN,
        responses=documented(404),
        summary="A hash tile or an entry bundle",
        tags=["log"],
    )
    def tiles(store: FromPath[str], tile: FromPath[PurePosixPath]) -> Response[bytes]:
        """As c2sp.org/tlog-tiles names them: L/N, L/N.p/W, entries/N, entries/N.p/W."""
        _known(store)
        try:
            wanted = Tile.parse(f"tile/{str(tile).lstrip('/')}")
        except Rejected:
            raise NotFound("there is no tile of that name") from None
        content = reads.store.reader.tile(wanted)
        # A full tile never changes; a partial one is replaced as the log grows.
        keep = "public, max-age=31536000, immutable" if wanted.width == WIDTH else "no-cache"
        return Response(
            content, media_type="application/octet-stream", headers={"Cache-Control": keep}
        )

    return [checkpoint, tiles]


def routes(reads: Reads) -> Sequence[HTTPRouteHandler]:
    """The routes behind a token."""

    @get(
        "/v1/log",
        sync_to_thread=True,
        responses=documented(),
        summary="Origin, verifier key, size and checkpoint of the log",
        tags=["log"],
    )
    def log(request: Asked) -> Log:
        """What is public of the log; any token may ask."""
        ledger = reads.store.ledger
        text = ledger.checkpoint().decode()
        size = int(text.split("\n", 2)[1])
        return Log(ledger.origin, ledger.vkey, size, text, STORE)

    return [log]


def _known(store: str) -> None:
    if store != STORE:
        raise NotFound("there is no log of that name")

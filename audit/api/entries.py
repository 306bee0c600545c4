"""Routes: one entry, its proof. The decision trace has a module of its own."""

from collections.abc import Sequence
from typing import Any

import msgspec
from litestar import MediaType, Response, get
from litestar.handlers import HTTPRouteHandler

from audit.api.reads import Asked, Index, Reads, milliseconds, visible
from audit.events import rfc3339
from audit.leaf import base64
from audit.masking import seen
from audit.problems import documented
from audit.reader import Leaf, Opened


class Clear(msgspec.Struct, frozen=True):
    """All clear fields of a leaf; `id` is the log's own for the entry."""

    index: int
    id: str
    type: str
    integration: str
    model: str
    version: str
    status: str
    retention: str
    time: str
    logged: str
    latency_ms: float | None


class Entry(msgspec.Struct, frozen=True):
    """One entry as this principal may see it.

    Masked values are "•••" and `masked` lists their JSON pointers; `erased` means that the
    payload was destroyed, and the leaf alone is left.
    """

    index: int
    leaf: Clear
    leaf_hash: str
    body: dict[str, Any]
    masked: list[str]
    erased: bool


def clear(leaf: Leaf) -> Clear:
    """The clear fields as the API tells them."""
    return Clear(
        index=leaf.index,
        id=leaf.id,
        type=leaf.type,
        integration=leaf.integration,
        model=leaf.model,
        version=leaf.version,
        status=leaf.status,
        retention=leaf.retention,
        time=rfc3339(leaf.event_us),
        logged=rfc3339(leaf.logged_us),
        latency_ms=milliseconds(leaf.latency_us),
    )


def body_of(opened: Opened) -> dict[str, Any]:
    """The decrypted body, empty where it was erased."""
    found: dict[str, Any] = {} if opened.erased else msgspec.json.decode(opened.body)
    return found


def routes(reads: Reads) -> Sequence[HTTPRouteHandler]:
    """The routes of this subject."""

    @get(
        "/v1/entries/{index:int}",
        sync_to_thread=True,
        responses=documented(400, 404),
        summary="One entry, masked as the principal's roles demand",
        tags=["entries"],
    )
    def entry(request: Asked, index: Index) -> Entry:
        """The view is in the ledger before the entry is returned."""
        sight = reads.sight(request.user)
        visible(sight, reads.store.reader.leaf(index))
        reads.access.record(request.user, "view", indexes=[index])
        opened = reads.store.reader.open([index])[0]
        body, masked = seen(opened.leaf.type, body_of(opened), sight.decision)
        return Entry(
            index=index,
            leaf=clear(opened.leaf),
            leaf_hash=base64(opened.leaf.hash),
            body=body,
            masked=masked,
            erased=opened.erased,
        )

    @get(
        "/v1/entries/{index:int}/proof",
        sync_to_thread=True,
        media_type=MediaType.TEXT,
        responses=documented(400, 404),
        summary="The entry's .tlog-proof against the newest checkpoint",
        tags=["entries"],
    )
    def proof(request: Asked, index: Index) -> Response[str]:
        """The leaf as the tiles have it, hashes, a signed checkpoint: nothing that is sealed.

        `modelwitness verify FILE --vkey KEY` checks it without this server.
        """
        sight = reads.sight(request.user)
        visible(sight, reads.store.reader.leaf(index))
        named = {"Content-Disposition": f'attachment; filename="entry-{index}.tlog-proof"'}
        text = reads.store.reader.prove(index).decode()
        return Response(text, media_type=MediaType.TEXT, headers=named)

    return [entry, proof]

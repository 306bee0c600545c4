"""Route: did my events arrive? Receipts of a sender's own events, by its own ids.

Decides that a sender sees where its own events stand and nothing else: no body, no other sender's.
The ids stand in the body of the request, never in an address, since they may name a person; the
access tells the entries found and no ids.
"""

from collections.abc import Sequence
from typing import Annotated

import msgspec
from litestar import post
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody
from msgspec import Meta

from audit import schema
from audit.api.reads import Asked, Reads
from audit.errors import Rejected
from audit.events import rfc3339
from audit.leaf import base64
from audit.problems import documented
from audit.roles import Forbidden, decide, roles_for

ACTION = "read_receipts"
MOST = 200


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The ids that the sender gave to its events of one type."""

    ids: Annotated[list[schema.Id], Meta(min_length=1, max_length=MOST)]
    type: schema.Name = "PredictionLogged"


class Receipt(msgspec.Struct, frozen=True):
    """Where an event stands: `time` is its own, `logged` when it was on the ledger."""

    id: str
    index: int
    leaf_hash: str
    time: str
    logged: str


class Receipts(msgspec.Struct, frozen=True):
    """What arrived, in the order asked for; `missing` are the ids that did not."""

    items: list[Receipt]
    missing: list[str]
    tree_size: int


def routes(reads: Reads) -> Sequence[HTTPRouteHandler]:
    """The route of this subject."""

    @post(
        "/v1/receipts",
        status_code=200,
        sync_to_thread=True,
        responses=documented(400, 413),
        summary="Where the sender's own events stand",
        tags=["entries"],
    )
    def receipts(request: Asked, data: JSONBody[Wanted]) -> Receipts:
        """For senders, of their own events only; the access is in the ledger first."""
        principal = request.user
        if decide(principal, ACTION, "own") != "allow":
            reads.access.denied(principal, ACTION)
            raise Forbidden(ACTION, roles_for(ACTION, "own"))
        if data.type not in schema.BODIES:
            raise Rejected(
                "senders have no events of this type",
                field="/type",
                remedy=f"Name one of {', '.join(schema.BODIES)}.",
            )
        size = reads.store.reader.size()
        found = _found(reads, principal.integration or principal.actor, data)
        items = [each for each in found.values() if each is not None]
        reads.access.record(principal, "receipts", indexes=[each.index for each in items])
        return Receipts(items, [id for id, each in found.items() if each is None], size)

    return [receipts]


def _found(reads: Reads, integration: str, wanted: Wanted) -> dict[str, Receipt | None]:
    reader = reads.store.reader
    found: dict[str, Receipt | None] = {}
    for id in wanted.ids:
        index = reader.find(integration, wanted.type, id)
        found[id] = None
        if index is not None:
            leaf = reader.leaf(index)
            hash, time = base64(leaf.hash), rfc3339(leaf.event_us)
            found[id] = Receipt(id, index, hash, time, rfc3339(leaf.logged_us))
    return found

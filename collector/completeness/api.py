"""Routes: what is missing of an integration, by its numbers and by its own counts.

Decides who may know: whoever sees the metadata of all, and a sender of its own.
"""

from collections.abc import Callable
from typing import Annotated, Any

from litestar import Request, Router, get
from litestar.params import PathParameter

from audit.access import Access
from audit.api import authenticated
from audit.api.reads import Reads
from audit.clock import Clock
from audit.problems import documented
from audit.roles import Forbidden, Principal, roles_for
from audit.schema import NAME_PATTERN
from audit.store import Store
from audit.tokens import Tokens
from collector.completeness import told
from collector.completeness.told import Counts, Gaps

Asked = Request[Principal, Any, Any]
Name = Annotated[str, PathParameter(pattern=NAME_PATTERN, description="An integration")]


def router(store: Store, tokens: Tokens, access: Access, clock: Clock) -> Router:
    """The routes, behind a token."""
    reads = Reads(store, tokens, access, clock, "")

    def allow(principal: Principal, name: str) -> None:
        if reads.known_to(principal) not in {None, name}:
            access.denied(principal, _ACTION)
            raise Forbidden(_ACTION, roles_for(_ACTION))

    @get(
        "/v1/integrations/{name:str}/gaps",
        operation_id="integration_gaps",
        sync_to_thread=True,
        responses=documented(400),
        summary="Numbers of its producers that are missing",
        tags=["registry"],
    )
    def gaps(request: Asked, name: Name) -> Gaps:
        """With the times of the events around each gap. What comes late closes its gap."""
        allow(request.user, name)
        return told.gaps(store.documents, name)

    @get(
        "/v1/integrations/{name:str}/counts",
        operation_id="integration_counts",
        sync_to_thread=True,
        responses=documented(400),
        summary="What its producers reported beside what is there",
        tags=["registry"],
    )
    def counts(request: Asked, name: Name) -> Counts:
        """Reports that can be compared already are equal or differ."""
        allow(request.user, name)
        return told.counts(store.documents, name, counting(store, name), clock())

    return Router(
        "/", guards=[authenticated(tokens, access.refused)], route_handlers=[gaps, counts]
    )


def counting(store: Store, integration: str) -> Callable[[int, int], dict[str, int]]:
    """Return what counts an integration's events between two times."""
    return lambda start_us, end_us: store.counts.exactly(integration, start_us, end_us)


_ACTION = "search_metadata"

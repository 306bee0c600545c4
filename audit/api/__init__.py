"""The read side over HTTP: one Litestar router built from its dependencies.

Decides which routes need a token; the modules of this package each hold the routes of one
subject. Blocking reads run in worker threads.
"""

from importlib.metadata import PackageNotFoundError, version

from litestar import Router

from audit.access import Access
from audit.api import entries, log, metrics, receipts, registry, searching, session, traces
from audit.api.authentication import authenticated
from audit.api.reads import Reads
from audit.clock import Clock
from audit.store import Store
from audit.tokens import Tokens

__all__ = ["authenticated", "router"]

_SUBJECTS = (session, log, registry, metrics, searching, receipts, entries, traces)


def router(store: Store, tokens: Tokens, access: Access, clock: Clock) -> Router:
    """All read routes; the composition root adds the problem handlers and the schema."""
    reads = Reads(store, tokens, access, clock, _verifier())
    behind_token = Router(
        "/",
        guards=[authenticated(tokens, access.refused)],
        route_handlers=[route for each in _SUBJECTS for route in each.routes(reads)],
    )
    open_to_all = [*session.open_routes(reads), *log.open_routes(reads)]
    return Router("/", route_handlers=[behind_token, *open_to_all])


def _verifier() -> str:
    try:
        return f"modelwitness {version('modelwitness')}"
    except PackageNotFoundError:
        return "modelwitness (from source)"

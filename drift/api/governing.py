"""What every route of drift is built from, and the question each asks first: may this one.

Decides that a permission which only lets someone ask for an act does not let them do it, and that
a refusal of a known person is recorded.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from litestar import Request
from litestar.params import PathParameter, QueryParameter

from audit.access import Access
from audit.clock import Clock
from audit.roles import DECISIONS, Forbidden, Principal, decide, roles_for
from audit.rootkey import Random
from audit.store import Store
from drift.settings import DriftSettings

Asked = Request[Principal, Any, Any]
Index = Annotated[int, PathParameter(ge=0, le=2**63 - 1, description="Number of an entry, from 0")]
Id = Annotated[
    str, PathParameter(pattern="^[A-Za-z0-9-]{1,128}$", description="Id of the case or alert")
]
Cursor = Annotated[
    str | None,
    # PostgreSQL's text holds no NUL.
    QueryParameter(max_length=1024, pattern="^[^\\x00]*$", description="`next` of a page"),
]

DECIDING = ("allow", "second")
"""Decisions that let someone approve: the scheduler proposes, so whoever approves is the second."""
_SEEING = [decision for decision in DECISIONS if decision != "deny"]


class Reason(msgspec.Struct, frozen=True):
    """Why a person decides as they do; `simulated` marks what a demonstration does for people."""

    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class Governing:
    """What the routes are built from."""

    store: Store
    access: Access
    clock: Clock
    random: Random
    settings: DriftSettings

    def allow(self, principal: Principal, action: str, accept: Collection[str]) -> None:
        """Refuse whoever's decision is not accepted; a refusal of a known person is recorded."""
        if decide(principal, action) not in accept:
            self.access.denied(principal, action)
            raise Forbidden(action, roles_for(action, accept=accept))

    def reads(self, principal: Principal) -> None:
        """Let in whoever may see metadata."""
        self.allow(principal, "search_metadata", _SEEING)

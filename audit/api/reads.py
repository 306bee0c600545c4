"""What every read route is built from, and the question each asks first: what may this one see.

Decides how the permission to search turns into sight: full or metadata, of everything or, for a
principal whose permission holds within its scope, of the one integration that its token names.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import msgspec
from litestar import Request
from litestar.params import PathParameter, QueryParameter

from audit import releases, roles
from audit.access import Access
from audit.catalog import RUN, VERSION, Released, Run, run_prefix
from audit.clock import Clock
from audit.errors import Rejected
from audit.events import micros, rfc3339
from audit.governed import Governed
from audit.reader import Leaf
from audit.roles import Forbidden, Principal
from audit.schema import NAME_PATTERN
from audit.store import Store
from audit.tokens import Tokens

SEARCH = "search_metadata"
LARGEST = 2**63 - 1
OPEN: list[dict[str, list[str]]] = [{}]
"""Security of a route that needs no token, as OpenAPI writes it."""
ABOUT = frozenset({"OutcomeObserved", "OversightRecorded", "ExplanationAttached"})
"""Types whose schema vouches for `prediction`; elsewhere a field of that name is a producer's own
and may hold anything. Few of them name a model."""

_decode_released = msgspec.json.Decoder(Released).decode
_decode_run = msgspec.json.Decoder(Run).decode

Asked = Request[Principal, Any, Any]
Index = Annotated[int, PathParameter(ge=0, le=LARGEST, description="Number of an entry, from 0")]
From = Annotated[
    str,
    QueryParameter(
        name="from", description="RFC 3339, included", format="date-time", max_length=64
    ),
]
To = Annotated[
    str,
    QueryParameter(
        name="to", description="RFC 3339, not included", format="date-time", max_length=64
    ),
]
Name = Annotated[str | None, QueryParameter(pattern=NAME_PATTERN)]


class Sight(NamedTuple):
    """What a principal sees: `allow` or `metadata`, and of which integration (None: of all)."""

    decision: str
    integration: str | None


@dataclass(frozen=True, slots=True)
class Reads:
    """The dependencies of the read routes; `verifier` is this program's name and version."""

    store: Store
    tokens: Tokens
    access: Access
    clock: Clock
    verifier: str

    @property
    def governed(self) -> Governed:
        """What drift leaves behind."""
        return Governed(self.store.documents)

    def sight(self, principal: Principal) -> Sight:
        """What the principal sees of entries; raises `Forbidden`, which is recorded."""
        decision = roles.decide(principal, SEARCH)
        if decision != "deny":
            return Sight(decision, None)
        if principal.integration is not None:
            decision = roles.decide(principal, SEARCH, "scope")
            if decision != "deny":
                return Sight(decision, principal.integration)
        self.access.denied(principal, SEARCH)
        raise Forbidden(SEARCH, roles.roles_for(SEARCH))

    def known_to(self, principal: Principal) -> str | None:
        """Whose counts and health the principal may know: of all (None), of one integration, or a
        sender of its own. Raises `Forbidden`, which is recorded."""
        sends = roles.decide(principal, "append") == "allow"
        if sends and roles.decide(principal, SEARCH) == "deny":
            return principal.integration or principal.actor
        return self.sight(principal).integration

    def everything(self, principal: Principal, *, full: bool = False) -> None:
        """Refuse whoever does not see all integrations, or with `full` only their metadata."""
        sight = self.sight(principal)
        if sight.integration is not None or (full and sight.decision != "allow"):
            self.access.denied(principal, SEARCH)
            accept = {"allow"} if full else set(roles.DECISIONS)
            raise Forbidden(SEARCH, roles.roles_for(SEARCH, accept=accept))


def released(reads: Reads, prefix: str = "") -> dict[tuple[str, str], list[Released]]:
    """What is told of the versions whose keys begin so, as `audit.releases.told` gives it."""
    rows = [_decode_released(body) for _, body in reads.store.documents.each(VERSION, prefix)]
    return releases.told(rows, _believed(reads)) if rows else {}


def runs(reads: Reads, told: Mapping[tuple[str, str], Sequence[Released]]) -> dict[str, list[Run]]:
    """What is told of the runs that made these versions, by whoever told of the version and by all
    whose word counts about it; the newest first."""
    counts = _believed(reads)
    found: dict[str, list[Run]] = {}
    for newest, *_ in told.values():
        name = newest.lineage.get("training_run")
        if not name or name in found:
            continue
        rows = [
            _decode_run(body) for _, body in reads.store.documents.each(RUN, run_prefix(str(name)))
        ]
        found[str(name)] = sorted(
            (
                row
                for row in rows
                if row.integration == newest.integration
                or counts(msgspec.structs.replace(newest, integration=row.integration))
            ),
            key=lambda row: row.index,
            reverse=True,
        )
    return found


def _believed(reads: Reads) -> releases.Believed:
    first, governed = reads.store.counts.first_senders(), reads.governed
    return releases.believed(first, governed.retrainers(), governed.policies())


def within(sight: Sight, integration: str | None) -> str | None:
    """The integration to read: the one asked for, held to the scope; raises `Forbidden`."""
    if sight.integration is None or integration in {None, sight.integration}:
        return sight.integration or integration
    raise Forbidden(SEARCH, roles.roles_for(SEARCH))


def visible(sight: Sight, leaf: Leaf) -> None:
    """Refuse an entry outside the scope; raises `Forbidden`, which differs from not found."""
    within(sight, leaf.integration)


def named(
    reads: Reads,
    type: str | None,
    integration: str | None,
    model: str | None,
    version: str | None,
    place: str = "",
) -> None:
    """Refuse to filter by model what names none, rather than to find nothing of it.

    Raises `Rejected`, `place` before the field's name; passes where any event names that model.
    """
    if type not in ABOUT or (model is None and version is None):
        return
    for row in reads.store.counts.series():
        of_these = row.type == type and integration in {None, row.integration}
        # Model and version are named together: who named the model may ask for any version.
        if of_these and (row.model == model if model is not None else row.version == version):
            return
    raise Rejected(
        f"no {type} names that model: these events name their prediction, not a model",
        field=f"{place}{'version' if model is None else 'model'}",
        remedy="Leave model and version out and filter by integration, or search PredictionLogged.",
    )


def span(start: str, end: str, place: str = "") -> tuple[int, int]:
    """The range in µs; raises `Rejected` naming the end that is wrong, `place` before its name."""
    start_us, end_us = moment(start, f"{place}from"), moment(end, f"{place}to")
    if start_us >= end_us:
        remedy = "Let `to` be after `from`."
        raise Rejected("the range is empty", field=f"{place}to", remedy=remedy)
    return start_us, end_us


def moment(text: str, field: str) -> int:
    """The time in µs that RFC 3339 in an address tells; raises `Rejected` naming `field`."""
    # In the address of a request a plus sign means a space, and arrives as one.
    try:
        return micros(text.replace(" ", "+"))
    except Rejected as error:
        raise Rejected(str(error), field=field, remedy=error.remedy) from None


class Row(msgspec.Struct, frozen=True):
    """The clear fields of an entry as lists show them."""

    index: int
    type: str
    integration: str
    model: str
    version: str
    status: str
    time: str
    logged: str
    latency_ms: float | None


def row_of(leaf: Leaf) -> Row:
    """The row of an entry: times in RFC 3339, latency in ms."""
    return Row(
        leaf.index,
        leaf.type,
        leaf.integration,
        leaf.model,
        leaf.version,
        leaf.status,
        rfc3339(leaf.event_us),
        rfc3339(leaf.logged_us),
        milliseconds(leaf.latency_us),
    )


def milliseconds(latency_us: int) -> float | None:
    """A latency in ms, None where it is unknown."""
    return None if latency_us < 0 else latency_us / 1000

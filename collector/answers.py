"""What ingest answers: receipts, the fate of each item of a batch, and refusals as problems.

Decides the fields and encodes them; status codes stand in `errors`. Hashes are standard base64,
as in the checkpoint.
"""

from base64 import b64encode

import msgspec

from audit.errors import AuditError
from audit.group import Appended
from audit.problems import Problem, problem_from, problem_of
from collector.errors import CollectorError, Conflicting


class Receipt(msgspec.Struct, frozen=True, gc=False):
    """Where one event stands. `duplicate`: it was there already, with the same content."""

    id: str
    index: int
    leaf_hash: str
    tree_size: int
    duplicate: bool


class Refused(Problem, frozen=True, omit_defaults=True):
    """A problem with the id under which what was refused is kept in quarantine.

    `not_kept` says why it is not, where that is so.
    """

    quarantine: str | None = None
    not_kept: str | None = None


class RejectedItem(msgspec.Struct, frozen=True):
    """An item that was not accepted: its place in the body, its id if it could be read."""

    position: int
    id: str | None
    problem: Refused


class Batch(msgspec.Struct, frozen=True):
    """The fate of many items: accepted + duplicates + rejected are all of them.

    `first_index` and `last_index` span the accepted ones and are null when there are none.
    """

    accepted: int
    duplicates: int
    rejected: list[RejectedItem]
    first_index: int | None
    last_index: int | None
    tree_size: int


_encode = msgspec.json.Encoder().encode


def receipt(id: str, appended: Appended) -> bytes:
    """The receipt of one event as JSON."""
    leaf_hash = b64encode(appended.leaf_hash).decode("ascii")
    return _encode(Receipt(id, appended.index, leaf_hash, appended.tree_size, appended.duplicate))


def batch(found: Batch) -> bytes:
    """The fate of many as JSON."""
    return _encode(found)


def conflict() -> Conflicting:
    """The refusal of an event whose id was logged before with other content."""
    return Conflicting(
        "an event with this id and other content is in the ledger; the conflict was recorded",
        field="/id",
        remedy="Send the first content again, or choose a new id.",
    )


EXCLUDED = "What is refused for this reason is never kept."
FULL = (
    "The quarantine of this integration is full: have what is in it replayed or discarded, and"
    " send this again afterwards."
)


def refusal(
    error: AuditError, quarantine: str | None = None, not_kept: str | None = None
) -> Refused:
    """The problem that a refusal is."""
    if isinstance(error, CollectorError) and not error.kept:
        quarantine, not_kept = None, EXCLUDED
    if isinstance(error, CollectorError):
        found = problem_of(error.status, error.title, str(error), error.remedy, error.field or None)
    else:
        found = problem_from(error)
    return Refused(**msgspec.structs.asdict(found), quarantine=quarantine, not_kept=not_kept)

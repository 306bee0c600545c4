"""Who may do what: the permission matrix as one data table, and the questions asked of it.

Decides every permission; code, tests and documentation read the same `MATRIX`. Hides nothing:
a cell is a decision and, where the matrix has a footnote, the condition under which it holds.

    allow        may do it
    second       may do it with a second person who approves
    break_glass  may do it in an emergency, afterwards reviewed
    request      may only ask for it
    metadata     may see the clear fields of it, no sealed content
    deny         may not

A conditional cell counts as deny until the caller says (`within`) that it enforces that very
condition, so that a footnote nobody implemented never opens anything.
"""

from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from audit.errors import Denied

INTEGRATION, DATA_SCIENTIST, OPS, REVIEWER = "integration", "data_scientist", "ops", "reviewer"
COMPLIANCE, DPO, LEGAL, KEYS = "compliance", "dpo", "legal", "keys"
AUDIT, REGULATOR = "audit", "regulator"
RETRAINER, SCHEDULER = "retrainer", "scheduler"

SERVICES = (RETRAINER, SCHEDULER)
ROLES = (
    INTEGRATION,
    DATA_SCIENTIST,
    OPS,
    REVIEWER,
    COMPLIANCE,
    DPO,
    LEGAL,
    KEYS,
    AUDIT,
    REGULATOR,
    *SERVICES,
)

DECISIONS = ("allow", "second", "break_glass", "request", "metadata", "deny")
"""Strongest first: a principal with several roles gets the strongest of their decisions."""


class Principal(msgspec.Struct, frozen=True):
    """Who asks: a person, an integration or a service identity, proved by one token.

    `integration` is set for credentials bound to one; `token` is the SHA-256 (hex) of the token.
    """

    actor: str
    roles: tuple[str, ...]
    integration: str | None = None
    token: str = ""


class Grant(NamedTuple):
    """One cell: the decision, and the condition the caller must enforce ("" for none)."""

    decision: str
    within: str = ""


class Unauthenticated(Denied):
    """No valid token came with the request: answer 401."""


class Forbidden(Denied):
    """The principal's roles do not allow `action`; `needed` are the roles that would."""

    action: str
    needed: tuple[str, ...]

    def __init__(self, action: str, needed: Iterable[str]) -> None:
        self.action = action
        self.needed = tuple(needed)
        names = " or ".join(self.needed) or "no role of this release"
        super().__init__(f"{action.replace('_', ' ')} needs the role {names}")


_no, _yes, _meta = Grant("deny"), Grant("allow"), Grant("metadata")
_ask, _two = Grant("request"), Grant("second")

# What is not named here is denied.
_TABLE: Mapping[str, Mapping[str, Grant]] = {
    "append": {
        INTEGRATION: _yes,
        REVIEWER: Grant("allow", "own_oversight"),
        RETRAINER: Grant("allow", "own_versions"),
    },
    "search_metadata": {
        DATA_SCIENTIST: _meta,
        OPS: _meta,
        REVIEWER: Grant("allow", "queue"),
        COMPLIANCE: _yes,
        DPO: _yes,
        LEGAL: _yes,
        AUDIT: _yes,
        REGULATOR: Grant("allow", "scope"),
    },
    "reveal_personal_data": {
        OPS: Grant("break_glass"),
        REVIEWER: Grant("allow", "assigned"),
        COMPLIANCE: _two,
        DPO: Grant("allow", "reason"),
        LEGAL: _two,
        AUDIT: _two,
        REGULATOR: Grant("second", "bundle"),
    },
    "export_bundle": {COMPLIANCE: _two, DPO: _two, LEGAL: _two, AUDIT: _meta},
    "place_hold": {COMPLIANCE: _ask, DPO: _ask, LEGAL: _two},
    "approve_erasure": {COMPLIANCE: _ask, DPO: _two, LEGAL: _two},
    "destroy_key": {KEYS: Grant("second", "ticket")},
    "change_retention": {COMPLIANCE: _ask, DPO: _two, LEGAL: _two},
    "apply_policy": {DATA_SCIENTIST: _ask, OPS: _two},
    "acknowledge_alert": {DATA_SCIENTIST: _yes, OPS: _yes, COMPLIANCE: _yes},
    "approve_retraining": {
        DATA_SCIENTIST: _ask,
        OPS: _two,
        COMPLIANCE: Grant("second", "high_risk"),
    },
    "labelled_export": {
        DATA_SCIENTIST: _ask,
        OPS: _two,
        COMPLIANCE: _meta,
        DPO: Grant("second", "personal"),
        AUDIT: _meta,
        RETRAINER: _yes,
    },
    "issue_token": {OPS: _two},
    "replay_quarantine": {INTEGRATION: Grant("allow", "own"), OPS: _yes, AUDIT: _meta},
    "rotate_key": {KEYS: _yes, AUDIT: _meta},
    "edit_control": {DATA_SCIENTIST: _ask, COMPLIANCE: _two},
    "promote_model": {DATA_SCIENTIST: _ask, OPS: _two, COMPLIANCE: _two},
    "manage_users": {OPS: _two},
    "verify_ledger": {
        DATA_SCIENTIST: _yes,
        OPS: _yes,
        COMPLIANCE: _yes,
        DPO: _yes,
        LEGAL: _yes,
        KEYS: _yes,
        AUDIT: _yes,
        REGULATOR: _yes,
    },
    # Where its own events stand, for whoever sent them: did it arrive?
    "read_receipts": {INTEGRATION: Grant("allow", "own"), RETRAINER: Grant("allow", "own")},
    # What a retrainer tells about the case it works on: taken over, candidate registered.
    "report_retraining": {RETRAINER: _yes},
}

ACTIONS = tuple(_TABLE)
ENFORCED: Mapping[str, str] = MappingProxyType(
    {
        "append": "own_versions",
        "search_metadata": "scope",
        "replay_quarantine": "own",
        "read_receipts": "own",
    }
)
"""The conditions that routes enforce, by action: there a conditional cell opens something."""
MATRIX: Mapping[tuple[str, str], Grant] = MappingProxyType(
    {(action, role): row.get(role, _no) for action, row in _TABLE.items() for role in ROLES}
)


def decide(principal: Principal, action: str, within: str = "") -> str:
    """The strongest decision that any of the principal's roles gives for `action`.

    `within` names the condition that the caller enforces itself. Raises `KeyError` for an action
    that is not in the table: that is a mistake in the program, not of the caller.
    """
    if action not in _TABLE:
        raise KeyError(action)
    found = {
        cell.decision
        for role in principal.roles
        for cell in [MATRIX.get((action, role), _no)]
        if cell.within in {"", within}
    }
    return next(each for each in DECISIONS if each in found or each == "deny")


def told(principal: Principal, action: str) -> str:
    """The decision as its principal should read it: within a condition that routes enforce, an
    `allow` is told as that condition ("own"), since it is neither all nor nothing."""
    decision = decide(principal, action)
    within = ENFORCED.get(action, "")
    if decision != "deny" or not within or (within == "scope" and principal.integration is None):
        return decision
    decision = decide(principal, action, within)
    return within if decision == "allow" else decision


def require(
    principal: Principal, action: str, within: str = "", *, accept: Collection[str] = DECISIONS
) -> str:
    """The decision, when it is not deny and among `accept`; else raises `Forbidden`.

    The caller must act on what it gets: `metadata`, `request` and `second` are no `allow`.
    """
    decision = decide(principal, action, within)
    if decision == "deny" or decision not in accept:
        raise Forbidden(action, roles_for(action, within, accept))
    return decision


def roles_for(action: str, within: str = "", accept: Collection[str] = DECISIONS) -> list[str]:
    """The roles, in the table's order, to which `require` with these arguments would not refuse."""
    return [
        role
        for role in ROLES
        if (cell := MATRIX[action, role]).decision != "deny"
        and cell.decision in accept
        and cell.within in {"", within}
    ]

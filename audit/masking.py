"""What of a sealed body a principal may see.

Decides the masks. Whoever may search in full (`allow`) sees a body without its personal and
external ids; whoever sees metadata sees the named fields only: model with lineage, time, status,
the decision's effect, latencies and the processing context. Revealing the rest is an act of its
own with its own permission. Every masked value becomes "•••" and is named by JSON pointer, so
that a page can say what is hidden instead of showing less.
"""

from collections.abc import Mapping
from typing import Any

from audit.events import SYSTEM_TYPES

MASK = "•••"

_PERSONAL = ("subject", "references")
_CONTEXT = ("environment", "shadow", "purpose", "lawful_basis", "region", "retention_class")
_METADATA: Mapping[str, tuple[str, ...]] = {
    "time": (),
    "model": (),
    "status": (),
    "latency_ms": (),
    "sequence": (),
    "producer": (),
    "action": (),
    "review_ms": (),
    "saw_explanation": (),
    "simulated": (),
    "from": (),
    "to": (),
    "counts": (),
    "dropped": (),
    "numbers": (),
    "metrics": (),
    "case": (),
    "decision": ("effect", "automation", "threshold", "policy_version"),
    "context": _CONTEXT,
}
"""Top-level fields that metadata shows; where names are given, only these inside them."""

_WITHHELD = (
    "actor",
    "approver",
    "requester",
    "roles",
    "reason",
    "indexes",
    "filter",
    "hash",
    "token",
    "report",
)
"""Fields of the system's own events that name people or what they looked at, or show raw values."""


def seen(type: str, body: Mapping[str, Any], decision: str) -> tuple[dict[str, Any], list[str]]:
    """The body as a principal with this decision on search_metadata sees it, and the masks.

    The second value lists the JSON pointers (RFC 6901) of masked values. Any decision but
    `allow` and `metadata` sees nothing.
    """
    if decision not in {"allow", "metadata"}:
        return {}, [""]
    masked: list[str] = []
    shown = {}
    for name, value in body.items():
        if name in _PERSONAL:
            shown[name] = _personal(name, value, masked)
        elif decision == "allow":
            shown[name] = value
        elif type in SYSTEM_TYPES:
            shown[name] = _hidden(f"/{_token(name)}", masked) if name in _WITHHELD else value
        else:
            shown[name] = _metadata(name, value, masked)
    return shown, masked


def _personal(name: str, value: Any, masked: list[str]) -> Any:
    """Mask a subject, and the value of each reference: which references exist may be seen."""
    if name == "references" and isinstance(value, dict):
        return {key: _hidden(f"/references/{_token(key)}", masked) for key in value}
    return _hidden(f"/{name}", masked)


def _metadata(name: str, value: Any, masked: list[str]) -> Any:
    inside = _METADATA.get(name)
    if inside is None:
        return _hidden(f"/{_token(name)}", masked)
    if not inside:
        return value
    if not isinstance(value, dict):
        return _hidden(f"/{_token(name)}", masked)
    return {
        key: each if key in inside else _hidden(f"/{name}/{_token(key)}", masked)
        for key, each in value.items()
    }


def _hidden(pointer: str, masked: list[str]) -> str:
    masked.append(pointer)
    return MASK


def _token(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")

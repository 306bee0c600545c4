"""A record told as one flat JSON object of the customer's own making.

Decides how a body that no vendor defines becomes a change: options of the declaration name the
members with the record's id, the time, the account, and those that hold values before the change.
Used for triggers, automations and scripts, where the customer writes the template.

    {"ticket_id": 7, "updated_at": "2026-01-31T09:30:00Z", "agent": "anna", "priority": "High",
     "priority_old": "Low"}
"""

from collections.abc import Mapping
from typing import Any

from collector.adapters import changes, times
from collector.adapters.changes import Change, sent_on
from collector.errors import Invalid
from collector.integrations.declaration import Declared

OPTIONS: Mapping[str, str] = {
    **changes.OPTIONS,
    "sent_on": changes.SENT_ON,
    "object": "The type of the records.",
    "key": "The member with the record's id.",
    "time": "The member with the time of the change.",
    "actor": "The member with the account that made the change.",
    "event": "The member with the sender's own id of the change, the same when sent again.",
    "old_suffix": "What ends the names of members that hold a value before the change: `_old`.",
}


def change_of(
    fields: Mapping[str, Any],
    declared: Declared,
    *,
    system: str,
    usual: Mapping[str, str],
    origin: Mapping[str, Any] | None = None,
) -> Change:
    """Return the change that a flat object tells; raises `CollectorError`.

    `usual` are the options' values where the declaration sets none.
    """
    named = {**usual, **declared.options}
    id = _text(fields.get(named.get("key", "")))
    if not id:
        raise Invalid(
            "the body does not say which record it is about",
            field=f"/{named.get('key', '')}",
            remedy="Put the record's id into the body, and name its member with option `key`.",
        )
    stamp = fields.get(named.get("time", ""))
    if not isinstance(stamp, str | int | float) or stamp == "":
        raise Invalid(
            "the body does not say when the record changed",
            field=f"/{named.get('time', '')}",
            remedy="Put the time of the change into the body, and name its member with option "
            "`time`; the time of arrival would make another event of every repetition.",
        )
    suffix = named.get("old_suffix", "")
    old: dict[str, Any] = {}
    if suffix:
        old = {
            name.removesuffix(suffix): value
            for name, value in fields.items()
            if name.endswith(suffix) and name != suffix
        }
    new = {k: v for k, v in fields.items() if not (suffix and k.endswith(suffix))}
    changed = sent_on(declared, fields)
    if old:
        altered = {name for name in old if name in fields and old[name] != fields[name]}
        changed = frozenset(altered) | (changed or frozenset())
    who = _text(fields.get(named.get("actor", "")))
    return Change(
        system=system,
        object=named.get("object", "record"),
        id=id,
        time=times.of_value(stamp, named.get("zone", "")),
        new=new,
        old=old,
        changed=changed,
        accounts=(who,) if who else (),
        key=_text(fields.get(named.get("event", ""))),
        origin=origin or {},
    )


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return ""
    return str(value).strip() if isinstance(value, str | int | float) else ""

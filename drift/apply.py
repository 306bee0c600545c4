"""A policy file becomes a PolicyChanged event.

Decides that a policy is changed by what it means and not by how it is written: a file whose
revision is the one in force appends nothing. Hides nothing: the text as it was applied is in the
event, with who applied it; secrets are not, because a policy holds only references to them.
"""

from pathlib import Path

import msgspec

from audit.clock import Clock, system_clock
from audit.declared import read
from audit.events import rfc3339
from audit.revision import Change
from audit.store import Store
from drift.alerts import system_event
from drift.cases import Named
from drift.policy import Policy, parse
from drift.projection import PolicyDocument

_decode_policy_document = msgspec.json.Decoder(PolicyDocument).decode


def apply_file(store: Store, path: Path, author: str, *, clock: Clock = system_clock) -> Change:
    """Apply the policy in the file; raises `BadDeclaration` naming place and remedy."""
    return apply_text(store, read(path), author, clock=clock)


def apply_text(store: Store, text: str, author: str, *, clock: Clock = system_clock) -> Change:
    """Apply the policy in `text`; raises `BadPolicy` naming place and remedy."""
    policy = parse(text)
    revision = policy.revision
    before = in_force(store, policy.model)
    if before is not None and before.revision == revision:
        return Change(policy.model, revision, before.index, changed=False)
    event = system_event(
        "PolicyChanged",
        # A revision may come back after another one: the id names what it follows.
        f"{revision}/{-1 if before is None else before.index}",
        rfc3339(clock()),
        Named(policy.model, "-"),
        policy={"name": policy.model, "revision": revision},
        actor=author,
        owner=policy.owner or author,
        text=text,
        **({"releases": list(policy.releases_from)} if policy.releases_from else {}),
    )
    [appended] = store.ledger.append([event])
    return Change(policy.model, revision, appended.index, changed=not appended.duplicate)


def in_force(store: Store, model: str) -> PolicyDocument | None:
    """Return the policy document of a model, None where none was applied."""
    stored = store.documents.get("policy", model)
    return None if stored is None else _decode_policy_document(stored)


def policies(store: Store) -> list[tuple[PolicyDocument, Policy]]:
    """Return every policy in force, by model."""
    found: list[tuple[PolicyDocument, Policy]] = []
    for _, body in store.documents.each("policy"):
        document = _decode_policy_document(body)
        found.append((document, parse(document.text)))
    return found

"""What the tests of business systems share: a declaration, golden files, hostile bodies.

Golden files stand under tests/collector/adapters/golden. To write them anew after a change that is
meant, run the tests with MODELWITNESS_GOLDEN=write and look at the difference.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import strategies as st

from audit.events import Event, rfc3339
from collector.adapters.registry import ADAPTERS
from collector.adapters.wire import Adapted, Message, Refused
from collector.errors import CollectorError
from collector.integrations.declaration import Declared, Outcome, Record
from tests.conftest import missing

GOLDEN = Path(__file__).parent / "golden"
SAMPLES = Path(__file__).resolve().parents[3].parent / "shared" / "samples"


def sample(name: str) -> bytes:
    """A published body of the shared folder."""
    path = SAMPLES / name
    if not path.is_file():
        missing(f"the sample {name} of ../shared is absent")
    return path.read_bytes()


def declared(adapter: str, **fields: Any) -> Declared:
    """A declaration; `record` may be given as the prediction's field alone."""
    record = fields.pop("record", None)
    if isinstance(record, str):
        record = Record(prediction=record)
    return Declared(
        name="crm",
        adapter=adapter,
        model=fields.pop("model", "lead-score"),
        version=fields.pop("version", "3"),
        record=record,
        **fields,
    )


def terminal(field: str, **truths: Any) -> Outcome:
    """An outcome field with its terminal values."""
    return Outcome(field=field, terminal=truths)


def read(
    adapter: str, body: bytes, declaration: Declared, headers: Mapping[str, str] | None = None
) -> Adapted:
    """What an adapter makes of a body."""
    pairs = tuple((k.encode(), v.encode()) for k, v in (headers or {}).items())
    message = Message(headers=pairs, body=body, unpacked=body)
    return ADAPTERS[adapter].read(message, declaration)


def body_of(event: Event) -> dict[str, Any]:
    """The body of an event."""
    found: dict[str, Any] = msgspec.json.decode(event.body)
    return found


def one(adapted: Adapted) -> tuple[str, dict[str, Any]]:
    """Type and body of the only event."""
    assert len(adapted.events) == 1, [each.type for each in adapted.events]
    assert not adapted.refused
    return adapted.events[0].type, body_of(adapted.events[0])


def golden(name: str, adapted: Adapted) -> None:
    """Compare all that an adapter made with a golden file."""
    found = {
        "events": [_event(each) for each in adapted.events],
        "refused": [_error(each.error) for each in adapted.refused],
        "unrelated": adapted.unrelated,
        "reply": adapted.reply.status,
    }
    _compare(name, found)


def golden_refusal(name: str, error: CollectorError) -> None:
    """Compare a refusal of the whole message with a golden file."""
    _compare(name, {"refused": [_error(error)]})


def _compare(name: str, found: dict[str, Any]) -> None:
    path = GOLDEN / f"{name}.json"
    text = json.dumps(found, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    if os.environ.get("MODELWITNESS_GOLDEN") == "write":
        path.write_text(text)
    assert json.loads(path.read_text()) == json.loads(text)


def _event(event: Event) -> dict[str, Any]:
    return {
        "type": event.type,
        "integration": event.integration,
        "id": event.id,
        "time": rfc3339(event.event_us),
        "model": event.model,
        "version": event.version,
        "status": event.status,
        "prediction": event.prediction,
        "subject": event.subject,
        "references": dict(event.references),
        "body": body_of(event),
    }


def _error(error: CollectorError) -> dict[str, str]:
    return {
        "error": type(error).__name__,
        "what": str(error),
        "field": error.field,
        "remedy": error.remedy,
    }


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from(["", "Z", "2026-01-31 09:30:00", "/Date(1)/", "9" * 30, "\0", "True"])
)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


@st.composite
def altered(draw: st.DrawFn, body: bytes) -> bytes:
    """A JSON body with some of its values replaced or left out, which is still JSON."""
    tree = json.loads(body)
    for _ in range(draw(st.integers(1, 3))):
        tree = _alter(draw, tree)
    return json.dumps(tree).encode("utf-8", "surrogatepass")


def _alter(draw: st.DrawFn, tree: Any) -> Any:
    if isinstance(tree, dict) and tree:
        key = draw(st.sampled_from(sorted(tree)))
        match draw(st.integers(0, 5)):
            case 0:
                return {k: v for k, v in tree.items() if k != key}
            case 1:
                return {**tree, key: draw(JSON)}
            case _:
                return {**tree, key: _alter(draw, tree[key])}
    if isinstance(tree, list) and tree:
        at = draw(st.integers(0, len(tree) - 1))
        return [*tree[:at], _alter(draw, tree[at]), *tree[at + 1 :]]
    return draw(JSON)


@st.composite
def damaged(draw: st.DrawFn, body: bytes) -> bytes:
    """A body with a few bytes cut out and others put in."""
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(body)))
        end = min(len(body), start + draw(st.integers(0, 12)))
        body = body[:start] + draw(st.binary(max_size=12)) + body[end:]
    return body


def survives(
    adapter: str, body: bytes, declaration: Declared, headers: Mapping[str, str] | None = None
) -> None:
    """Nothing but a `CollectorError` may come out, and every event must name the integration."""
    try:
        made = read(adapter, body, declaration, headers)
    except CollectorError as error:
        made = Adapted(refused=[Refused(body, error)])
    assert all(str(each.error) and each.error.remedy for each in made.refused)
    for event in made.events:
        assert event.integration == declaration.name
        assert len(event.id) <= 256

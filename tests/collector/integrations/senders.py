"""A sender made for tests, whose messages say what their adapter does with them."""

import json
import time
from collections.abc import Callable
from typing import Any

from audit.clock import Clock, system_clock
from audit.events import event_of
from audit.revision import Change
from collector.adapters.wire import Adapted, Adapter, Half, Message, Refused, Reply
from collector.errors import Invalid, Malformed
from collector.integrations import apply
from collector.integrations.declaration import Declared
from collector.integrations.registered import LAG_US
from tests.collector.conftest import House, prediction

WAIT_SECONDS = 60
SECRET = "a-secret-of-many-letters"
OLD = "another-secret-of-many-letters"
HUB = "yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy"
ENVIRONMENT = {"NEW": SECRET, "OLD": OLD, "HUB": HUB}
HEADERS = {"X-Secret": SECRET}
BY_HEADER = """
kind: integration
name: {name}
adapter: told
credential: {{verify: header, secrets: [env:NEW, env:OLD], options: {{header: X-Secret}}}}
"""


def _read(message: Message, declared: Declared) -> Adapted:
    """Events, refusals, halves and replies as the JSON of the message wants them."""
    try:
        told = json.loads(message.unpacked)
    except ValueError:
        raise Malformed("the message is no JSON", remedy="Send JSON.") from None
    if told.get("fail"):
        raise ZeroDivisionError(told["fail"])  # a bug of the adapter
    wanted = declared.options.get("wanted")
    found = Adapted(
        halves=[
            Half(key=each["key"], side=each["side"], body=json.dumps(each).encode())
            for each in told.get("halves", ())
        ],
        reply=Reply(202, b"<taken/>", (("Content-Type", "application/xml"),)),
        fetch=told.get("fetch", ""),
    )
    for each in told.get("predictions", ()):
        if each.get("kind") not in {None, wanted}:
            error = Invalid("a kind that nobody wants", field="/kind", remedy="Declare it.")
            found.refused.append(Refused(json.dumps(each).encode(), error))
        else:
            body = prediction(each["id"], output=each.get("output", "late"))
            found.events.append(event_of("PredictionLogged", declared.name, body))
    return found


def _join(first: Half, second: Half | None, declared: Declared) -> Adapted:
    """One prediction of two halves; of a request alone one that failed; of a response, nothing."""
    if second is None and first.side == "response":
        return Adapted()
    body: dict[str, Any] = prediction(first.key, inputs=json.loads(first.body)["value"])
    if second is None:
        body |= {"output": None, "status": "error", "error": {"missing": "response"}}
    else:
        body["output"] = json.loads(second.body)["value"]
    return Adapted(events=[event_of("PredictionLogged", declared.name, body)])


def _failing(_message: Message, status: int, title: str) -> Reply:
    return Reply(status, f"<no>{title}</no>".encode(), (("Content-Type", "application/xml"),))


TOLD = Adapter(
    "told",
    _read,
    unreadable=202,
    unavailable=504,
    failing=_failing,
    join=_join,
    wait_seconds=WAIT_SECONDS,
    options={"wanted": "The kind of prediction that is read."},
    verifiers=frozenset({"hubspot-v3"}),
)
ADAPTERS = {TOLD.name: TOLD}


def declare(house: House, text: str, clock: Clock = system_clock) -> Change:
    """Apply a declaration of this sender."""
    store = house.store
    return apply.apply_text(
        store.ledger, store.documents, text, "ann", clock=clock, adapters=ADAPTERS
    )


def half(key: str, side: str, value: Any = None) -> dict[str, Any]:
    """One half, as a message tells it."""
    return {"key": key, "side": side, "value": {"x": 1} if value is None else value}


def predictions(*ids: str, **more: Any) -> dict[str, Any]:
    """A message with these predictions."""
    return {"predictions": [{"id": each} for each in ids], **more}


def ids(house: House) -> list[str]:
    """The predictions that were logged, in order."""
    return [each["id"] for each in house.bodies("PredictionLogged")]


def await_declared(done: Callable[[], bool]) -> None:
    """Wait until a declaration is in force, as long as that may take and no longer."""
    deadline = time.monotonic() + LAG_US / 1e6 + 5
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.02)

"""Our own events, sent to an integration's address or inside a cloud's envelope.

Decides nothing new: a body is read as the addresses of /v1 read it. Which of them, option `events`
says; a structured or batched CloudEvent, or a body with `ce-` headers, is read as such whatever the
option says.
"""

from collector.adapt import TYPES
from collector.adapters.wire import Adapted, Adapter, Message, Refused
from collector.delivery import CLOUDEVENTS, NATIVE, Delivery
from collector.delivery import read as read_delivery
from collector.errors import Invalid
from collector.integrations.declaration import Declared
from collector.limits import Limits

EVENTS = "events"
OPTIONS = {EVENTS: "What the bodies are: predictions (default), outcomes, oversight, explanations."}
_LIMITS = Limits.model_construct()


def read(message: Message, declared: Declared) -> Adapted:
    """Read one event, an array or lines of them; see `Adapter`."""
    address = declared.options.get(EVENTS, "predictions")
    if address not in NATIVE:
        raise Invalid(
            "the declaration names no kind of event",
            field="options.events",
            remedy=f"Write one of: {', '.join(NATIVE)}.",
        )
    content_type = message.header("content-type")
    attributes = tuple(each for each in message.headers if each[0].startswith(b"ce-"))
    cloud = (content_type or "").lower().lstrip().startswith("application/cloudevents")
    if cloud or any(name == b"ce-specversion" for name, _ in attributes):
        address = CLOUDEVENTS
    elif not (content_type or "").partition(";")[0].rstrip().lower().endswith(("json", "jsonl")):
        content_type = "application/json"  # clouds say text/plain, or nothing, of what is JSON
    found = read_delivery(
        Delivery(
            address=address,
            integration=declared.name,
            permitted=TYPES - {"IntegrationDeclared"},
            body=message.unpacked,
            content_type=content_type,
            attributes=attributes if address == CLOUDEVENTS else (),
        ),
        _LIMITS,
    )
    refused = [Refused(found.items[each.position], each.error) for each in found.refusals]
    return Adapted(events=found.events, refused=refused)


ADAPTER = Adapter("native", read, options=OPTIONS)

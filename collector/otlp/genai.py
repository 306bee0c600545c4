"""Model calls in the words of OpenTelemetry's GenAI conventions, three generations of them.

Decides which spans are predictions (one that names a model and does not merely wrap other calls:
agents, workflows and tools are none) and where each generation keeps what was said:

    now       gen_ai.input.messages, gen_ai.output.messages, gen_ai.system_instructions, on the
              span or on its event gen_ai.client.inference.operation.details
    to 1.36   events gen_ai.{system,user,assistant,tool}.message and gen_ai.choice
    earlier   gen_ai.prompt and gen_ai.completion, whole or flattened (gen_ai.prompt.0.content),
              on the span or on events gen_ai.content.{prompt,completion}

The same names occur on log records; see `messages_of`.
"""

from collections.abc import Iterable
from typing import Any

from collector.otlp.calls import Call, first, structured, text, whole
from collector.otlp.flat import unflattened
from collector.otlp.records import Attributes, Span

DETAILS = "gen_ai.client.inference.operation.details"
_SAID = {f"gen_ai.{role}.message": role for role in ("system", "user", "assistant", "tool")}
_CHOICE = "gen_ai.choice"
_CONTENT = {
    "gen_ai.content.prompt": "gen_ai.prompt",
    "gen_ai.content.completion": "gen_ai.completion",
}
MESSAGES = frozenset({DETAILS, _CHOICE, *_SAID, *_CONTENT})
"""Names of events that carry what was said."""
_WRAPPERS = frozenset(
    {"create_agent", "invoke_agent", "invoke_workflow", "execute_tool", "retrieval", "plan"}
)
_REQUEST = "gen_ai.request."
_ASKED, _ANSWERED = "gen_ai.request.model", "gen_ai.response.model"
_PROVIDER = ("gen_ai.provider.name", "gen_ai.system")
_IN = ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens")
_OUT = ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens")


def call_of(span: Span) -> Call | None:
    """The model call that a span is, None where it is none."""
    said = [(each.name, each.attributes) for each in span.events if each.name in MESSAGES]
    facts = dict(span.attributes)
    for name, attributes in said:
        if name == DETAILS:
            facts = {**attributes, **facts}
    operation = text(facts, "gen_ai.operation.name")
    known = operation or first(facts, _ASKED, _ANSWERED) is not None
    if not known or operation in _WRAPPERS:
        return None
    used = {name for name in facts if name.startswith("gen_ai.")} | {"error.type"}
    messages = messages_of([*said, (DETAILS, facts)])
    return Call(
        convention="gen_ai",
        operation=operation,
        provider=text(facts, *_PROVIDER),
        asked=text(facts, _ASKED),
        answered=text(facts, _ANSWERED),
        input=messages.get("input"),
        output=messages.get("output"),
        instructions=messages.get("instructions"),
        parameters={
            name.removeprefix(_REQUEST): value
            for name, value in facts.items()
            if name.startswith(_REQUEST) and name != _ASKED
        },
        input_tokens=whole(facts, *_IN),
        output_tokens=whole(facts, *_OUT),
        finish=facts.get("gen_ai.response.finish_reasons"),
        response=text(facts, "gen_ai.response.id"),
        conversation=text(facts, "gen_ai.conversation.id"),
        used=used,
    )


def messages_of(said: Iterable[tuple[str, Attributes]]) -> dict[str, Any]:
    """What events of these names say: input, output and instructions, as far as they do."""
    found: dict[str, Any] = {}
    asked: list[Any] = []
    answered: list[Any] = []
    for name, facts in said:
        if name == DETAILS:
            _put(found, "input", _whole(facts, "gen_ai.input.messages", "gen_ai.prompt"))
            _put(found, "output", _whole(facts, "gen_ai.output.messages", "gen_ai.completion"))
            _put(found, "instructions", structured(facts.get("gen_ai.system_instructions")))
        elif name == _CHOICE:
            answered.append(_read(facts))
        elif name in _SAID:
            asked.append({"role": _SAID[name], **_read(facts)})
        else:
            key = _CONTENT[name]
            _put(found, "input" if key.endswith("prompt") else "output", structured(facts.get(key)))
    _put(found, "input", asked or None)
    _put(found, "output", answered or None)
    return found


def _put(found: dict[str, Any], key: str, value: Any) -> None:
    if value is not None:
        found.setdefault(key, value)


def _whole(facts: Attributes, now: str, earlier: str) -> Any:
    """Messages of the present convention, else of the earliest, whole or flattened."""
    found = structured(facts.get(now))
    if found is None:
        found = structured(facts.get(earlier))
    return unflattened(facts, f"{earlier}.") if found is None else found


def _read(facts: Attributes) -> dict[str, Any]:
    return {
        name: structured(value)
        for name, value in facts.items()
        if name not in {"gen_ai.system", "event.name"}
    }

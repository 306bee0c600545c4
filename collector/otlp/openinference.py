"""Model calls in the words of OpenInference.

Decides which kinds of span are predictions (LLM, EMBEDDING, RERANKER; chains, agents, tools,
retrievers and evaluators wrap or prepare them) and where what was said stands: flattened messages,
else `input.value` and `output.value`, parsed where their media type says JSON.

Spec: OpenInference semantic conventions, spec/semantic_conventions.md.
"""

from typing import Any

from collector.otlp.calls import Call, structured, text, whole
from collector.otlp.flat import unflattened
from collector.otlp.records import Attributes, Span

KIND = "openinference.span.kind"
_MODELS = {
    "LLM": "llm.model_name",
    "EMBEDDING": "embedding.model_name",
    "RERANKER": "reranker.model_name",
}
_OURS = ("llm.", "embedding.", "reranker.", "input.", "output.", "annotations.", "session.")


def is_ours(span: Span) -> bool:
    """Whether a span follows these conventions."""
    return KIND in span.attributes


def call_of(span: Span) -> Call | None:
    """The model call that a span is, None where it is none."""
    facts = span.attributes
    kind = text(facts, KIND).upper()
    if kind not in _MODELS:
        return None
    parameters = structured(
        facts.get("llm.invocation_parameters") or facts.get("embedding.invocation_parameters")
    )
    parameters = parameters if isinstance(parameters, dict) else {}
    asked = parameters.get("model")
    return Call(
        convention="openinference",
        operation=kind.lower(),
        provider=text(facts, "llm.provider", "llm.system"),
        asked=asked if isinstance(asked, str) else "",
        answered=text(facts, _MODELS[kind]),
        input=_said(facts, "llm.input_messages.", "input.value"),
        output=_said(facts, "llm.output_messages.", "output.value"),
        parameters={key: value for key, value in parameters.items() if key != "model"},
        template=unflattened(facts, "llm.prompt_template."),
        input_tokens=whole(facts, "llm.token_count.prompt"),
        output_tokens=whole(facts, "llm.token_count.completion"),
        finish=facts.get("llm.finish_reason"),
        conversation=text(facts, "session.id"),
        used={name for name in facts if name == KIND or name.startswith(_OURS)},
    )


def _said(facts: Attributes, flattened: str, value: str) -> Any:
    found = unflattened(facts, flattened)
    return structured(facts.get(value)) if found is None else found

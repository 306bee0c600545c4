"""Lists and objects that a convention has flattened into attribute names.

    llm.input_messages.0.message.role = "user"   →   [{"role": "user"}]

Decides that a level whose names are all numbers is a list, in their order, and that the wrappers
by which OpenInference names the elements of its lists are left out.
"""

from typing import Any

from collector.otlp.records import Attributes

_MOST_LEVELS = 12
_WRAPPERS = frozenset(
    {"message", "message_content", "tool_call", "document", "embedding", "tool", "annotation",
     "evaluation"}
)  # fmt: skip


def unflattened(attributes: Attributes, prefix: str) -> Any:
    """The list or object whose members' names begin with `prefix`, None where there are none.

    What is nested beyond a limit stays under its flattened name.
    """
    tree: dict[str, Any] = {}
    for name, value in attributes.items():
        if name.startswith(prefix):
            *path, last = name[len(prefix) :].split(".", _MOST_LEVELS)
            place: Any = tree
            for step in path:
                inner = place.setdefault(step, {})
                if not isinstance(inner, _Branch):
                    inner = place[step] = _Branch()
                place = inner
            place.setdefault(last, value)
    return _folded(tree) if tree else None


class _Branch(dict[str, Any]):
    """A level of names; tells them from values that are objects themselves."""


def _folded(found: Any) -> Any:
    members = {
        key: _folded(value) if isinstance(value, _Branch) else value for key, value in found.items()
    }
    if members and all(key.isascii() and key.isdigit() for key in members):
        return [members[key] for key in sorted(members, key=lambda key: (len(key), key))]
    if len(members) == 1 and (wrapper := next(iter(members))) in _WRAPPERS:
        return members[wrapper]
    return members

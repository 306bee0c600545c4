"""Decoders are made when a module is imported, where there is one thread.

msgspec takes a type apart when the first decoder for it is made, and two threads that do so at one
time can crash the process. So no function makes one, nor decodes into a type without one.
"""

import ast

from tests.architecture.test_sources import modules
from tests.conftest import ROOT

ROOMS = ("audit", "collector", "drift")
ALLOWED = {
    "audit/channel.py": "types of the caller's, made before the channel's threads are",
    "drift/columns.py": "a type that was made just now, which no other thread knows",
}
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


def making(tree: ast.AST) -> list[ast.Call]:
    """The calls inside functions that take a type apart."""
    return [
        call
        for function in ast.walk(tree)
        if isinstance(function, FUNCTIONS)
        for call in ast.walk(function)
        if isinstance(call, ast.Call) and _takes_apart(call)
    ]


def _takes_apart(call: ast.Call) -> bool:
    name = ast.unparse(call.func)
    typed = any(keyword.arg == "type" for keyword in call.keywords)
    if name.endswith("decode"):
        return typed
    if name.split(".")[-1] == "Decoder":
        return typed or bool(call.args)
    return name == "msgspec.convert"


def test_no_function_makes_a_decoder() -> None:
    found = {}
    for path in modules():
        name = str(path.relative_to(ROOT))
        if name.startswith(tuple(f"{room}/" for room in ROOMS)):
            lines = sorted({call.lineno for call in making(ast.parse(path.read_text()))})
            if lines:
                found[name] = lines
    assert found.keys() == ALLOWED.keys(), found


def test_every_way_to_make_one_is_found() -> None:
    made = (
        "msgspec.json.decode(body, type=T)",
        "_decode(body, type=T)",
        "msgspec.json.Decoder(T).decode(body)",
        "msgspec.msgpack.Decoder(type=T)",
        "msgspec.convert(body, T)",
    )
    for call in made:
        assert making(ast.parse(f"def f(body):\n    return [{call} for _ in body]")), call
        assert making(ast.parse(f"f = lambda body: {call}")), call
        assert not making(ast.parse(f"f = {call}")), call
    assert not making(ast.parse("def f(body):\n    return msgspec.json.decode(body)"))

"""References to secrets: `env:NAME` and `file:PATH`, resolved by the process that needs them.

Decides what a reference looks like in a declaration, and what of a file counts: its bytes but a
final line break, at most `MOST_BYTES`; blanks belong to the secret. Whatever is longer is none.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from audit.errors import Rejected

ENVIRONMENT: Final = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]{0,127}")
PATTERN: Final = re.compile(rf"{ENVIRONMENT.pattern}|file:[^\s]{{1,400}}")
REMEDY: Final = 'write "env:NAME" or "file:PATH"; the value itself never stands in a file'
MOST_BYTES: Final = 16 * 1024


def resolve(reference: str, environment: Mapping[str, str]) -> bytes:
    """Return what a reference stands for, b"" where that is nothing which can be used."""
    kind, _, name = reference.partition(":")
    if kind == "env":
        found = environment.get(name, "").encode("utf-8", "surrogateescape")
    else:
        try:
            with Path(name).open("rb") as file:
                found = file.read(MOST_BYTES + 3)
        except (OSError, ValueError):
            return b""
        found = found.removesuffix(b"\n").removesuffix(b"\r")
    return found if len(found) <= MOST_BYTES else b""


def revealed(text: str, environment: Mapping[str, str]) -> str:
    """Return what `env:NAME` or `file:PATH` stands for, anything else as it is.

    Raises `Rejected` naming the reference, never what it stands for.
    """
    if not text.startswith(("env:", "file:")):
        return text
    try:
        found = resolve(text, environment).decode()
    except UnicodeDecodeError:
        found = ""
    if not found:
        raise Rejected(
            f"{text} holds nothing that can be used",
            remedy="Set it for the account that runs this.",
        )
    return found

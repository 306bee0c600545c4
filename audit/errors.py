"""Every error that package `audit` raises on purpose.

Callers branch on the class, because each class asks for a different act: correct the
input, try again, sound the alarm, find the missing evidence, or stop. Messages name
what failed and never carry payloads, keys or personal data.
"""

from typing import ClassVar


class AuditError(Exception):
    """Base of all errors of the log."""


class Rejected(AuditError):
    """The input is bad and stays bad: correct it before sending it again.

    `field` is the JSON pointer of what is wrong ("" for the whole), `remedy` what to do.
    """

    field: str
    remedy: str

    def __init__(self, what: str, *, field: str = "", remedy: str = "") -> None:
        super().__init__(what)
        self.field = field
        self.remedy = remedy


class BadDeclaration(Rejected):
    """A file that declares something cannot be applied as it is; nothing of it was.

    `field` is the dotted place in the file ("columns.dep_delay.kind", "" for the file as a
    whole), `remedy` says what to write instead. `whole` is what the file is called.
    """

    whole: ClassVar[str] = "declaration"
    problem: str

    def __init__(self, field: str, problem: str, remedy: str) -> None:
        super().__init__(f"{field or self.whole}: {problem}; {remedy}", field=field, remedy=remedy)
        self.problem = problem


class Conflict(Rejected):
    """The input contradicts something that the log already holds."""


class Busy(AuditError):
    """Nothing is wrong with the input: try again after `retry_after` seconds."""

    retry_after: int

    def __init__(self, what: str, *, retry_after: int = 1) -> None:
        super().__init__(what)
        self.retry_after = retry_after


class Broken(Busy):
    """This process can append nothing any more: another one has to take its place."""


class TooSlow(Busy):
    """A read was cut short, because it took longer than reads may take."""

    remedy: str = "Ask for a narrower range of time, or name an integration, model or type."

    def __init__(self) -> None:
        super().__init__("the answer would take longer than a read may take")


class Tampered(AuditError):
    """The evidence contradicts itself or a signed statement.

    `index` is the first entry known to be bad, or None when no single entry can be
    named; `what` says which check failed.
    """

    index: int | None
    what: str

    def __init__(self, what: str, *, index: int | None = None) -> None:
        place = "" if index is None else f" at entry {index}"
        super().__init__(f"tampered{place}: {what}")
        self.index = index
        self.what = what


class RolledBack(Tampered):
    """The database holds less than was signed: reads of sealed data are refused too."""

    def __init__(self, size: int, signed: int) -> None:
        super().__init__(
            f"the database holds {size} entries, but {signed} were signed: it was rolled back;"
            " restore the newer one or continue in a new store"
        )
        self.size = size
        self.signed = signed


class Rewritten(Tampered):
    """The stored history is not the one that was signed: nothing more is signed."""

    def __init__(self, signed: int) -> None:
        super().__init__(f"the stored tree does not continue the checkpoint signed at {signed}")


class PayloadGone(Tampered):
    """A payload or its key is gone, and no logged erasure accounts for it."""

    def __init__(self, index: int) -> None:
        super().__init__("a payload or its key is gone and no erasure covers it", index=index)


class Unverifiable(AuditError):
    """The evidence needed for a verdict is missing or unreadable: neither good nor bad."""


class NotFound(AuditError):
    """What was asked for does not exist in this log."""


class Denied(AuditError):
    """The caller may not do this."""


class Unreachable(AuditError):
    """An address may not be called, or its name leads nowhere.

    `final` says that trying again as it stands cannot help.
    """

    final: bool

    def __init__(self, what: str, *, final: bool = False) -> None:
        super().__init__(what)
        self.final = final

"""Every error that package `drift` raises on purpose.

Callers branch on the class, because each asks for a different act: correct the file, let
the window wait, or judge it anew. Messages never carry values of a window, which may be
personal, nor secrets.
"""


class DriftError(Exception):
    """Base of all errors of drift."""


class BadPolicy(DriftError):
    """A policy file cannot be applied as it is; nothing of it was.

    `field` is the dotted place in the file ("columns.dep_delay.kind", "" for the file as a
    whole), `remedy` says what to write instead.
    """

    field: str
    remedy: str

    def __init__(self, field: str, problem: str, remedy: str) -> None:
        super().__init__(f"{field or 'policy'}: {problem}; {remedy}")
        self.field = field
        self.remedy = remedy


class NotJudged(DriftError):
    """A window could not be judged, though nothing says that its rows are bad."""


class NotRendered(DriftError):
    """A stored report is not one that this version of Evidently can draw."""

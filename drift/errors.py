"""Every error that package `drift` raises on purpose.

Callers branch on the class, because each asks for a different act: correct the file, let
the window wait, or judge it anew. Messages never carry values of a window, which may be
personal, nor secrets. Those that an HTTP caller can meet are also errors of the log, so that
the one place that turns errors into problem details knows them.
"""

from audit.errors import BadDeclaration, Conflict, Denied, NotFound, Rejected


class DriftError(Exception):
    """Base of all errors of drift."""


class BadPolicy(DriftError, BadDeclaration):
    """A policy file cannot be applied as it is; nothing of it was."""

    whole = "policy"


class BadSetting(DriftError, Rejected):
    """A setting in the environment cannot be what it says."""


class NotJudged(DriftError):
    """A window could not be judged, though nothing says that its rows are bad."""


class NotRendered(DriftError):
    """A stored report is not one that this version of Evidently can draw."""


class IllegalStep(DriftError, Conflict):
    """A retraining case cannot take this step from the state that it is in."""


class SamePerson(DriftError, Denied):
    """Who proposed may not also approve: four eyes."""


class Unknown(DriftError, NotFound):
    """No case, alert, verdict, report or ticket has this name (any more)."""


class TooLarge(DriftError, Rejected):
    """An export would need more memory than the settings allow."""


class Undeliverable(DriftError):
    """A delivery failed; `final` says that trying again as it stands cannot help."""

    final: bool

    def __init__(self, what: str, *, final: bool = False) -> None:
        super().__init__(what)
        self.final = final

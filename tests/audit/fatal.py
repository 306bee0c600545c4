"""What kills a thread of the ledger: an error that no `except Exception` there can answer."""

import threading
from collections.abc import Sequence

from audit.documents import Applied, View
from audit.events import Event
from tests.audit.stores import system

SECONDS = 30


class Gone(BaseException):
    """What no `except Exception` catches, as little as a fault of the ledger's own."""


class Fatal:
    """A projection that lets one event kill the thread which applies it."""

    name = "fatal"
    types = frozenset({"KeyRotated"})
    kinds = frozenset({"fatal"})

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.go_on = threading.Event()

    def apply(self, entries: Sequence[Applied], view: View) -> None:
        self.entered.set()
        assert self.go_on.wait(SECONDS)
        raise Gone("an event's text that nobody may read")

    def forget(self, handle: int, view: View) -> None:
        """Nothing here is about a subject."""


def deadly() -> Event:
    return system("KeyRotated", "deadly", what="nothing")

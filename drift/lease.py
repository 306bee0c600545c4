"""Who leads among several schedulers: a lease that is short, kept while its holder works.

Decides that a holder renews at a third of the lease, so that one who was killed or cut off is
followed within that lease while a long judgement costs nobody the lead, and that who stops says
so. A lease saves double work only: what is judged twice all the same is one event by its id.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from audit.errors import AuditError
from audit.work import Work

SHORTEST_PAUSE = 0.05


class Lease:
    """The lease `name` of `holder`, for `seconds` at a time."""

    def __init__(self, work: Work, name: str, holder: str, seconds: float) -> None:
        self._work = work
        self._name = name
        self._holder = holder
        self._seconds = seconds

    def renew(self) -> bool:
        """Hold the lease from now on, if nobody else does; return whether it is held."""
        return self._work.claim(self._name, self._holder, self._seconds)

    def resign(self) -> None:
        """Let go of the lease, if it is held, so that another need not wait for its end."""
        self._work.claim(self._name, self._holder, 0)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Renew the lease in time until the block ends; one that was lost is not won back."""
        over = threading.Event()
        keeper = threading.Thread(target=self._keep, args=(over,), name="lease", daemon=True)
        keeper.start()
        try:
            yield
        finally:
            over.set()
            keeper.join()

    def _keep(self, over: threading.Event) -> None:
        while not over.wait(max(self._seconds / 3, SHORTEST_PAUSE)):
            with suppress(AuditError):  # the database is away: the next beat may find it
                if not self.renew():
                    return

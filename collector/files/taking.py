"""Rows of a file → ledger and quarantine: what it means that a batch is done.

Decides that a batch is done when its events are in the ledger and its refused rows in quarantine,
each with what is needed to read it again: rows of an adapter as one message that knows their file,
our own events as what HTTP would have brought. A busy ledger is waited
for; a full quarantine is the file's to wait for, and what could never be kept is counted.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial
from typing import Final, NamedTuple, Protocol, TypeVar

import msgspec

from collector.adapt import TYPES
from collector.adapters.wire import Adapted, Adapter, Message
from collector.delivery import Delivery
from collector.errors import CollectorError, Full, NeverFits
from collector.files.declaration import BY_INTEGRATION, Files
from collector.files.reading import Rows
from collector.files.rows import TOO_LONG
from collector.ingest import Reason, reason_of
from collector.integrations.declaration import Declared
from collector.integrations.intake import Settled
from collector.quarantine import Quarantine
from collector.streams.taking import Patience, Taken

T = TypeVar("T")
PARCEL_BYTES: Final = 1024 * 1024
"""Of refused rows that are kept as one."""


class WayIn(Protocol):
    """The part of the way in that files need; see `collector.integrations.intake`."""

    async def log_each(
        self, adapted: Adapted, declared: Declared, adapter: Adapter
    ) -> tuple[Settled, list[CollectorError | None]]: ...
    async def keep(
        self,
        message: Message,
        declared: Declared,
        adapter: Adapter,
        errors: list[CollectorError],
    ) -> bool: ...
    def not_kept(self, declared: Declared, count: int) -> None: ...


class Reader(NamedTuple):
    """With what the rows of one file are read."""

    declared: Declared
    adapter: Adapter
    about: Message
    place: Mapping[str, str]


class Taking:
    """Takes batches. Belongs to one event loop."""

    def __init__(
        self, files: Files, way_in: WayIn, quarantine: Quarantine, patience: Patience
    ) -> None:
        self._files = files
        self._way_in = way_in
        self._quarantine = quarantine
        self._until_done = patience.until_done

    async def take(self, rows: Rows, reader: Reader, first: int) -> Taken:
        """Log rows, of which the first has this number, and return once all of it is durable.

        Raises what `Patience.until_done` raises, and `Full` where refused rows find no room yet.
        """
        settled, answers = await self._until_done(
            self._way_in.log_each, rows.adapted(), reader.declared, reader.adapter
        )
        refused = dict(rows.refused)
        for owner, error in zip(rows.owners, answers, strict=True):
            if error is not None:
                refused.setdefault(owner, error)
        there = {at: refused[at] for at in sorted(refused) if rows.raw[at] != TOO_LONG}
        kept = sum([await self._keep(part, rows, reader, first) for part in _parts(there, rows)])
        if len(refused) > len(there):
            self._way_in.not_kept(reader.declared, len(refused) - len(there))
        return Taken(
            logged=settled.accepted,
            duplicates=settled.duplicates,
            quarantined=kept,
            waiting=settled.waiting,
            not_kept=len(refused) - kept,
        )

    async def _keep(
        self, refused: Mapping[int, CollectorError], rows: Rows, reader: Reader, first: int
    ) -> int:
        """How many of these rows are kept now; raises `Full`."""
        if self._files.rows == BY_INTEGRATION:
            message = msgspec.structs.replace(
                reader.about, body=b"\n".join(rows.raw[at] for at in refused)
            )
            errors = list(refused.values())
            keep = partial(self._way_in.keep, message, reader.declared, reader.adapter, errors)
            return len(refused) if await self._unless_full(keep) else 0
        kept = 0
        parcels: dict[Reason, list[Delivery]] = {}
        for at, error in refused.items():
            delivery = Delivery(
                address=self._files.rows,
                integration=self._files.integration,
                permitted=TYPES,
                body=rows.raw[at],
                content_type="application/json",
                place=f"{reader.about.url}:{first + at}",
            )
            parcels.setdefault(reason_of(error), []).append(delivery)
        for reason, parcel in parcels.items():
            seal = partial(asyncio.to_thread, self._quarantine.keep, *reason, parcel)
            try:
                await self._unless_full(seal)
            except NeverFits:
                self._way_in.not_kept(reader.declared, len(parcel))
            else:
                kept += len(parcel)
        return kept

    async def _unless_full(self, keep: Callable[[], Awaitable[T]]) -> T:
        """What `keep` gives; a full quarantine is not waited for here, so it holds up one file."""

        async def kept() -> T | Full:
            try:
                return await keep()
            except Full as full:
                return full

        found = await self._until_done(kept)
        if isinstance(found, Full):
            raise found
        return found


def _parts(
    refused: Mapping[int, CollectorError], rows: Rows
) -> Iterator[dict[int, CollectorError]]:
    """Refused rows in parts of `PARCEL_BYTES`, so that each finds room where there is some."""
    part: dict[int, CollectorError] = {}
    size = 0
    for at, error in refused.items():
        if part and size + len(rows.raw[at]) > PARCEL_BYTES:
            yield part
            part, size = {}, 0
        part[at] = error
        size += len(rows.raw[at])
    if part:
        yield part

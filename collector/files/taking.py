"""Rows of a file → ledger and quarantine: what it means that a batch is done.

Decides that a batch is done when its events are in the ledger and its refused rows in quarantine,
each with what is needed to read it again: rows of an adapter as one message that knows their file,
our own events as what HTTP would have brought. A busy ledger and a full quarantine are waited for.
"""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import NamedTuple, Protocol

import msgspec

from collector.adapt import TYPES
from collector.adapters.wire import Adapted, Adapter, Message
from collector.delivery import Delivery
from collector.errors import CollectorError
from collector.files.declaration import BY_INTEGRATION, Files
from collector.files.reading import Rows
from collector.ingest import Reason, reason_of
from collector.integrations.declaration import Declared
from collector.integrations.intake import Settled
from collector.quarantine import Quarantine
from collector.streams.taking import Patience, Taken


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
    ) -> None: ...


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

        Raises what `Patience.until_done` raises.
        """
        settled, answers = await self._until_done(
            self._way_in.log_each, rows.adapted(), reader.declared, reader.adapter
        )
        refused = dict(rows.refused)
        for owner, error in zip(rows.owners, answers, strict=True):
            if error is not None:
                refused.setdefault(owner, error)
        if refused:
            await self._keep({at: refused[at] for at in sorted(refused)}, rows, reader, first)
        return Taken(
            logged=settled.accepted,
            duplicates=settled.duplicates,
            quarantined=len(refused),
            waiting=settled.waiting,
        )

    async def _keep(
        self, refused: Mapping[int, CollectorError], rows: Rows, reader: Reader, first: int
    ) -> None:
        if self._files.rows == BY_INTEGRATION:
            message = msgspec.structs.replace(
                reader.about, body=b"\n".join(rows.raw[at] for at in refused)
            )
            errors = list(refused.values())
            await self._until_done(
                self._way_in.keep, message, reader.declared, reader.adapter, errors
            )
            return
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
            keep = partial(self._quarantine.keep, *reason, parcel)
            await self._until_done(asyncio.to_thread, keep)

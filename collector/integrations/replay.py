"""What was kept in quarantine, taken once more, whichever way it came in.

Decides that a message of an integration is read with the declaration in force now and not with the
one under which it was refused: that is what is mended in between.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping

import msgspec

from audit.errors import Busy, NotFound
from collector import answers
from collector.adapters.wire import Adapter
from collector.errors import Invalid
from collector.ingest import Answer, Ingest
from collector.integrations.declaration import Declared
from collector.integrations.intake import Intake
from collector.integrations.pairing import Offer, Pairing
from collector.integrations.registered import Registered
from collector.integrations.standard import declared_at
from collector.quarantine import Kept

_encode = msgspec.json.Encoder().encode


class Replay:
    """Takes kept things again. Belongs to one event loop."""

    def __init__(
        self,
        ingest: Ingest,
        intake: Intake,
        pairing: Pairing,
        registered: Registered,
        adapters: Mapping[str, Adapter],
    ) -> None:
        self._ingest = ingest
        self._intake = intake
        self._pairing = pairing
        self._registered = registered
        self._adapters = adapters

    async def replay(self, kept: Kept) -> tuple[Answer, bool]:
        """Take what was kept once more; True says that nothing of it was refused again.

        What is refused again is not kept a second time. Raises `CollectorError` where it is
        refused as a whole, `NotFound` where its integration is declared no more.
        """
        if kept.message is None and not kept.halves:
            return await self._ingest.replay(kept)
        declared = await asyncio.to_thread(self._registered.get, kept.integration)
        if kept.message is not None:
            declared = declared_at(kept.message.url, declared, kept.integration)
        adapter = None if declared is None else self._adapters.get(declared.adapter)
        if declared is None or adapter is None:
            raise NotFound("the integration is not declared any more: apply its file again")
        if kept.message is not None:
            settled = await self._intake.replay(kept.message, declared, adapter)
            # What was accepted before may read otherwise now: the first stands, and all is logged.
            contradicts = kept.reason.startswith(str(answers.conflict()))
            whole = not settled.rejected and not (settled.conflicts and contradicts)
            return Answer(200, _encode(settled)), whole
        return await self._offer(kept, declared, adapter)

    async def _offer(self, kept: Kept, declared: Declared, adapter: Adapter) -> tuple[Answer, bool]:
        offers = [Offer(half, declared, adapter) for half in kept.halves]
        fates = await asyncio.to_thread(self._pairing.settle, offers)
        for fate in fates:
            if isinstance(fate, Busy):
                raise fate
            if fate == "conflict":
                raise answers.conflict()
            if fate not in {"waiting", "accepted", "duplicate"}:
                raise Invalid("its other half is still not there", remedy="Remove it, or wait.")
        settled = Counter(str(fate) for fate in fates)
        return Answer(200, _encode(settled)), True

"""All files that one process watches, until it is stopped.

Decides that an error which nobody foresaw, and a ledger that is broken or tampered with, end all of
them, so that it is seen.
"""

import asyncio
from collections.abc import Callable, Sequence

from audit.clock import system_clock
from collector.files.applied import opened
from collector.files.counts import FileCounts
from collector.files.declaration import Files
from collector.files.watching import Watcher, Work
from collector.integrations.wiring import Wired


async def watch(
    told: Sequence[tuple[Files, FileCounts]],
    ways: Wired,
    work: Work,
    name: str,
    stopping: asyncio.Event,
    tell: Callable[[str], None],
) -> None:
    """Watch until `stopping` is set; raises what ended a watcher for good, after all ended.

    `name` tells this process from others that may watch the same.
    """
    watchers = [
        Watcher(files, opened, ways, work, name, system_clock, stopping, counts, tell)
        for files, counts in told
    ]
    ending = asyncio.create_task(stopping.wait())
    tasks = [asyncio.create_task(each.run()) for each in watchers]
    try:
        await asyncio.wait([ending, *tasks], return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.set()
        await ending
        found = await asyncio.gather(*tasks, return_exceptions=True)
    for each in found:
        if isinstance(each, BaseException):
            raise each

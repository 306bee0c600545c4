"""One of several reads where order counts; another follows it."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import modelwitness
from audit.errors import Busy
from collector.streams.standing import Standing


async def until(renew: Callable[[], Awaitable[bool]], *, wanted: bool) -> None:
    """Renew until the answer is so."""
    async with asyncio.timeout(10):
        while True:
            if await renew() is wanted:
                return
            await asyncio.sleep(0.02)


def test_one_holds_it_and_another_follows_when_it_resigns(tmp_path: Path) -> None:
    async def run() -> None:
        with modelwitness.opened(tmp_path / "data") as parts:
            one = Standing(parts.store.work, "stream s g", "one", 60)
            two = Standing(parts.store.work, "stream s g", "two", 60)
            assert await one.renew()
            assert not await two.renew()
            assert (one.held, two.held) == (True, False)
            await one.resign()
            assert not one.held
            assert await two.renew()
            assert not await one.renew()

    asyncio.run(run())


def test_another_follows_one_that_is_silent(tmp_path: Path) -> None:
    async def run() -> None:
        with modelwitness.opened(tmp_path / "data") as parts:
            one = Standing(parts.store.work, "stream s g", "one", 0.2)
            two = Standing(parts.store.work, "stream s g", "two", 0.2)
            assert await one.renew()
            await until(two.renew, wanted=True)
            assert not one.held

    asyncio.run(run())


def test_a_store_that_is_away_lets_it_end_by_its_own_clock() -> None:
    class Gone:
        def __init__(self) -> None:
            self.away = False

        def claim(self, name: str, holder: str, seconds: float) -> bool:
            if self.away:
                raise Busy("away")
            return True

    async def run() -> None:
        work = Gone()
        one = Standing(work, "stream s g", "one", 0.2)
        assert await one.renew()
        work.away = True
        assert await one.renew()  # still held
        await until(one.renew, wanted=False)
        assert not one.held

    asyncio.run(run())

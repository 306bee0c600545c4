"""Reports of verdicts, drawn on demand for one look.

Decides that a report is shown through a ticket: named by who may see it, good once and for a short
time, because a frame in a page can carry no token; and that the page it opens may run its own
scripts, reach nothing and act as nobody (`CSP`). Hides the drawing: a subprocess reads the sealed
snapshot and ends, so the server never loads Evidently, and nothing drawn is kept.
"""

import asyncio
import hashlib
import sys
from base64 import urlsafe_b64encode

import msgspec
from msgspec import Struct

from audit.clock import Clock
from audit.errors import Unverifiable
from audit.rootkey import Random
from audit.store import Store
from audit.work import Work
from drift.errors import Unknown

KIND = "ticket"
CSP = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval';"
    " style-src 'unsafe-inline'; img-src data: blob:; font-src data:"
)
DRAW = (sys.executable, "-m", "drift.evidence")


class Ticket(Struct, frozen=True):
    """What a ticket opens, for whom it was issued, and until when (µs)."""

    index: int
    actor: str
    expires_us: int


class _Measured(Struct, frozen=True):
    report: msgspec.Raw = msgspec.Raw(b"null")


_decode_ticket = msgspec.json.Decoder(Ticket).decode
_decode_measured = msgspec.json.Decoder(_Measured).decode


def report_of(store: Store, index: int) -> bytes:
    """Return the snapshot in a DriftMeasured as JSON; raises `Unknown` where there is none."""
    if store.reader.leaf(index).type != "DriftMeasured":
        raise Unknown("this entry is no drift verdict")
    [opened] = store.reader.open([index])
    report = bytes(_decode_measured(opened.body).report)
    if report == b"null":
        raise Unknown("this verdict has no report: no column could be tested")
    return report


def issue(
    store: Store, index: int, actor: str, *, seconds: float, clock: Clock, random: Random
) -> str:
    """Return a ticket to the report of the verdict at `index`; raises `Unknown`."""
    report_of(store, index)
    text = urlsafe_b64encode(random(32)).decode().rstrip("=")
    expires_us = clock() + int(seconds * 1_000_000)
    body = msgspec.json.encode(Ticket(index, actor, expires_us))
    store.work.put(KIND, _key(text), body, expires_us)
    return text


def redeem(store: Store, text: str, *, clock: Clock) -> Ticket:
    """Use a ticket up; raises `Unknown` where it is not one, was used, or is too old."""
    item = store.work.take(KIND, _key(text))
    if item is None:
        raise Unknown("the ticket is used up or too old; ask for a new one")
    ticket = _decode_ticket(item.body)
    if clock() >= ticket.expires_us:
        raise Unknown("the ticket is used up or too old; ask for a new one")
    return ticket


def drop_stale_tickets(work: Work, holder: str) -> None:
    """Remove tickets that nobody used in time."""
    for item in work.lease(KIND, holder, 60, 200):
        work.done(KIND, item.key)


async def draw(report: bytes, seconds: float, command: tuple[str, ...] = DRAW) -> bytes:
    """Return the report as an HTML page; raises `Unverifiable` where that fails or takes longer."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,  # it might quote values
    )
    try:
        async with asyncio.timeout(seconds):
            html, _ = await process.communicate(report)
    except TimeoutError as error:
        raise Unverifiable("the report could not be drawn in time; ask again later") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise Unverifiable("the stored report could not be drawn by this version")
    return html


def _key(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

"""NetSuite's own audit trail, asked for by SuiteQL: rows of `systemnote` since the last look.

Decides the query, how far a look reads, and that its place moves only after everything up to there
is durable. A look reads from a date, page by page (at most 1000 rows, `Prefer: transient`), and
ends where NetSuite has no more; the next begins at the date of the last row, less an overlap for
rows that were committed late. What is read twice is a duplicate. Not verified against an account.

    POST ACCOUNT/services/rest/query/v1/suiteql?limit=1000&offset=N    {"q": "SELECT …"}
    {"items": […], "hasMore": true, "count": 1000, "totalResults": 4711}

The place is a work item, kind `pull`: {"since": "2026-01-31 09:30:00", "offset": 0}. Who reads
must be one process at a time: a lease under the integration's name.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

import httpx
import msgspec

from audit.clock import Clock
from audit.errors import Busy, Rejected, Unreachable
from audit.outgoing import read_bounded
from audit.references import PATTERN
from audit.work import New
from collector.adapters.wire import Adapter, Message, Reply
from collector.integrations.declaration import Declared

KIND: Final = "pull"
ADAPTER: Final = "netsuite.notes"
PAGE: Final = 1000
OVERLAP: Final = timedelta(minutes=10)
LEASE_SECONDS: Final = 120.0
_MOST_BYTES: Final = 16 * 1024 * 1024
_WRITTEN: Final = "%Y-%m-%d %H:%M:%S"
_field = re.compile(r"[A-Za-z0-9_.]{1,64}")
_COLUMNS: Final = (
    "id, TO_CHAR(date, 'YYYY-MM-DD HH24:MI:SS') AS date, field, oldvalue, newvalue, name, context,"
    " recordid, recordtypeid"
)


class Place(msgspec.Struct, frozen=True):
    """How far an integration was read; `since` in the account's own time."""

    since: str
    offset: int = 0


class _Dated(msgspec.Struct, frozen=True):
    date: str


class Answer(msgspec.Struct, frozen=True, rename="camel"):
    """The part of a page that decides how to go on."""

    items: list[_Dated]
    has_more: bool = False


_decode_place = msgspec.json.Decoder(Place).decode
_decode_answer = msgspec.json.Decoder(Answer).decode
_encode = msgspec.json.encode


class Item(Protocol):
    """What the work table gives back."""

    @property
    def body(self) -> bytes: ...


class KeepsWork(Protocol):
    """The part of the work table that a pull needs."""

    def get(self, kind: str, key: str) -> Item | None: ...
    def claim(self, name: str, holder: str, seconds: float) -> bool: ...
    def change(
        self, put: Sequence[New] = (), remove: Sequence[tuple[str, str]] = ()
    ) -> Sequence[bool]: ...


class Resolves(Protocol):
    """Gives the secrets behind references."""

    def all_of(self, references: Sequence[str]) -> tuple[bytes, ...]: ...


Take = Callable[[Message, Declared, Adapter], Awaitable[Reply]]


class Pull:
    """Asks for the notes of one declared integration after another.

    `calling` makes a client for addresses that the operator wrote. `holder` names this process.
    """

    def __init__(
        self,
        take: Take,
        adapter: Adapter,
        work: KeepsWork,
        secrets: Resolves,
        calling: Callable[[], httpx.Client],
        clock: Clock,
        holder: str,
    ) -> None:
        self._take = take
        self._adapter = adapter
        self._work = work
        self._secrets = secrets
        self._calling = calling
        self._clock = clock
        self._holder = holder

    async def look(self, declared: Declared) -> int:
        """Read to the end of what there is; returns how many rows were read.

        Raises `Busy` where NetSuite or our own store cannot now, or another process reads; then
        the place stands after the last page that was taken whole. Raises `Rejected` where the
        declaration or its token must be mended first.
        """
        rows = 0
        while True:
            if not self._work.claim(f"{KIND}:{declared.name}", self._holder, LEASE_SECONDS):
                raise Busy("another process reads the notes of this integration", retry_after=60)
            place = self._place(declared)
            body = await asyncio.to_thread(self._page, declared, place)
            try:
                answer = _decode_answer(body)
            except (msgspec.DecodeError, UnicodeDecodeError, ValueError, RecursionError):
                raise Busy("NetSuite answered what is no page of rows", retry_after=60) from None
            url = _address(declared)
            message = Message(url=url, body=body, unpacked=body, received_us=self._clock())
            await self._take(message, declared, self._adapter)
            rows += len(answer.items)
            on = answer.has_more and bool(answer.items)
            self._move(declared, _after(place, answer, on=on))
            if not on:
                return rows

    def _place(self, declared: Declared) -> Place:
        item = self._work.get(KIND, declared.name)
        if item is not None:
            return _decode_place(item.body)
        since = declared.options.get("since", "")
        if _parsed(since) is None:
            raise Rejected(
                "the first date to read from is not declared",
                field="/options/since",
                remedy="Declare since: '2026-01-31 00:00:00', in the account's own time.",
            )
        return Place(since)

    def _move(self, declared: Declared, place: Place) -> None:
        self._work.change(
            [New(KIND, declared.name, _encode(place))], remove=[(KIND, declared.name)]
        )

    def _page(self, declared: Declared, place: Place) -> bytes:
        token = self._token(declared)
        url = f"{_address(declared)}?limit={PAGE}&offset={place.offset}"
        headers = {"Authorization": f"Bearer {token}", "Prefer": "transient"}
        try:
            with (
                self._calling() as client,
                client.stream(
                    "POST", url, headers=headers, json={"q": query(declared, place.since)}
                ) as answer,
            ):
                _require_good(answer)
                return read_bounded(client, answer, _MOST_BYTES)
        except Unreachable as error:
            if error.final:
                raise Rejected(
                    str(error), field="/options/account", remedy="Correct the address."
                ) from error
            raise Busy(str(error), retry_after=60) from error
        except httpx.HTTPError as error:
            raise Busy("NetSuite does not answer", retry_after=60) from error
        except ValueError as error:
            raise Busy("NetSuite's page is too large or too slow", retry_after=600) from error

    def _token(self, declared: Declared) -> str:
        reference = declared.options.get("token", "")
        if not PATTERN.fullmatch(reference):
            raise Rejected(
                "the token for SuiteQL is not declared by reference",
                field="/options/token",
                remedy="Declare token: env:NAME or file:PATH of an OAuth 2.0 access token.",
            )
        [token] = self._secrets.all_of([reference])
        return token.decode("latin-1")


def query(declared: Declared, since: str) -> str:
    """Return the SuiteQL for the declared fields since a date; raises `Rejected`."""
    record = declared.record
    wanted = [] if record is None else [record.prediction]
    if record is not None and record.outcome is not None:
        wanted.append(record.outcome.field)
    if not wanted or not all(map(_field.fullmatch, wanted)) or _parsed(since) is None:
        raise Rejected(
            "the declaration names no fields that a query can hold",
            field="/record",
            remedy="Declare `record: {prediction: custbody_…}` with script ids.",
        )
    kind = declared.options.get("record_type", "")
    if kind and not kind.removeprefix("-").isdigit():
        raise Rejected(
            "the record type is no number",
            field="/options/record_type",
            remedy="Declare recordtypeid of systemnote, such as -30 for transactions.",
        )
    fields = ", ".join(f"'{each.upper()}'" for each in wanted)
    typed = f" AND recordtypeid = {kind}" if kind else ""
    # Each part was checked above: script ids, digits, a date.
    return (
        f"SELECT {_COLUMNS} FROM systemnote"  # noqa: S608 - our own words, and parts checked above
        f" WHERE UPPER(field) IN ({fields}){typed}"
        f" AND date >= TO_DATE('{since}', 'YYYY-MM-DD HH24:MI:SS') ORDER BY date, id"
    )


def _after(place: Place, answer: Answer, *, on: bool) -> Place:
    """Where the next page or, at the end, the next look begins."""
    if on:
        return Place(place.since, place.offset + len(answer.items))
    dates = [found for each in answer.items if (found := _parsed(each.date)) is not None]
    since = _parsed(place.since)
    if not dates or since is None:
        return Place(place.since)
    return Place(max(since, max(dates) - OVERLAP).strftime(_WRITTEN))


def _parsed(text: str) -> datetime | None:
    try:
        # Compared with others of the same account only, so that the zone does not matter.
        return datetime.strptime(text, _WRITTEN).replace(tzinfo=UTC)
    except ValueError:
        return None


def _address(declared: Declared) -> str:
    account = declared.options.get("account", "").rstrip("/")
    if not account:
        raise Rejected(
            "the account's address is not declared",
            field="/options/account",
            remedy="Declare account: https://ACCOUNT.suitetalk.api.netsuite.com",
        )
    return f"{account}/services/rest/query/v1/suiteql"


def _require_good(answer: httpx.Response) -> None:
    status = answer.status_code
    if status == httpx.codes.OK:
        return
    if status == httpx.codes.TOO_MANY_REQUESTS or status >= 500:
        after = answer.headers.get("retry-after", "")
        seconds = int(after) if after.isascii() and after.isdigit() and len(after) < 5 else 60
        raise Busy(f"NetSuite answered {status}", retry_after=seconds)
    raise Rejected(
        f"NetSuite answered {status}",
        field="/options/token" if status in {401, 403} else "/options",
        remedy="Renew the token and check its role: SuiteQL, REST web services, system notes."
        if status in {401, 403}
        else "Check the account's address and the declared fields.",
    )

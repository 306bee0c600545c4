"""Requests to the API: sent until they are answered, never sent blindly for ever.

Decides what is worth trying again (429, 503 and a connection that broke; the server says how long
to wait) and when to give up. Hides HTTP, tokens and problem details. Sending twice is safe: every
event has an id, and the API answers a redelivery with the first receipt.
"""

from collections.abc import Callable
from typing import Any, Final, Self

import httpx
import msgspec
from msgspec import Struct
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_delay

from collector.demo.errors import Refused
from collector.demo.traffic import Packet

PATIENCE_SECONDS: Final = 120.0
ANSWER_SECONDS: Final = 600.0  # a labelled export is made while we wait; asking twice makes two
_LONGEST_PAUSE: Final = 10.0


class Rejection(Struct, frozen=True):
    """An item of a batch that was not taken."""

    position: int = 0
    id: str | None = None
    problem: Any = None


class Receipt(Struct, frozen=True):
    """What the API answers, for one event or for many."""

    accepted: int | None = None
    duplicates: int = 0
    rejected: list[Rejection] = []
    duplicate: bool = False
    index: int | None = None


_decode_receipt = msgspec.json.Decoder(Receipt).decode


class Client:
    """One token, one connection pool. Use it as a context; it may be shared by threads."""

    def __init__(
        self,
        api: str,
        token: str,
        *,
        patience: float = PATIENCE_SECONDS,
        watch: Callable[[], None] = lambda: None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """`watch` is called before every request, repeated ones too; what it raises ends them."""
        self._http = httpx.Client(
            base_url=api,
            headers={"Authorization": f"Bearer {token}"},
            timeout=httpx.Timeout(60.0, read=ANSWER_SECONDS),
            trust_env=False,
            transport=transport,
        )
        self._patience = patience
        self._watch = watch

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def send(self, packet: Packet) -> int:
        """Log a packet; return how many of its events were new.

        Raises `Refused` where the API takes an event for wrong or in conflict with one it has.
        """
        response = self._answer("POST", packet.path, packet.headers, packet.content)
        receipt = _decode_receipt(response.content)
        if receipt.rejected:
            first = receipt.rejected[0]
            raise Refused(
                f"{packet.path}: {len(receipt.rejected)} of {packet.events} events were refused; "
                f"the first is {first.id!r}: {first.problem}"
            )
        if receipt.accepted is None:
            return 0 if receipt.duplicate else 1
        return receipt.accepted

    def get(self, path: str, **query: str) -> Any:
        """The JSON that an address answers."""
        return msgspec.json.decode(self.download(path, **query))

    def download(self, path: str, **query: str) -> bytes:
        """The bytes that an address answers."""
        target = str(httpx.URL(path, params=query)) if query else path
        return self._answer("GET", target, {}, b"").content

    def post(self, path: str, body: dict[str, Any], media: str = "application/json") -> Any:
        """Send a JSON object and return the JSON that is answered."""
        content = msgspec.json.encode(body)
        answer = self._answer("POST", path, {"Content-Type": media}, content).content
        return msgspec.json.decode(answer) if answer else None

    def _answer(
        self, method: str, path: str, headers: dict[str, str], content: bytes
    ) -> httpx.Response:
        retrying = Retrying(
            retry=retry_if_exception(_passing),
            wait=_pause,
            stop=stop_after_delay(self._patience),
            reraise=True,
        )
        try:
            return retrying(self._once, method, path, headers, content)
        except httpx.HTTPStatusError as error:
            raise Refused(
                f"{method} {path.partition('?')[0]}: {_reason(error.response)}"
            ) from error
        except httpx.TransportError as error:
            raise Refused(f"{path}: no answer ({type(error).__name__}); is serve up?") from error

    def _once(
        self, method: str, path: str, headers: dict[str, str], content: bytes
    ) -> httpx.Response:
        self._watch()
        response = self._http.request(method, path, headers=headers, content=content)
        response.raise_for_status()
        return response


def _passing(error: BaseException) -> bool:
    """Whether trying again may help."""
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code in (429, 503)
    return isinstance(error, httpx.TransportError)


def _pause(state: RetryCallState) -> float:
    """Seconds to wait: what the server asks for, else twice as long as before."""
    error = state.outcome.exception() if state.outcome is not None else None
    asked = (
        error.response.headers.get("Retry-After")
        if isinstance(error, httpx.HTTPStatusError)
        else None
    )
    if asked is not None and asked.isdigit():
        return min(float(asked), _LONGEST_PAUSE)
    growing: float = 0.1 * 2 ** min(state.attempt_number, 6)
    return growing


def _reason(response: httpx.Response) -> str:
    """The problem details of a refusal, in one line."""
    try:
        told = response.json()
        parts = [str(told[key]) for key in ("title", "detail", "field", "remedy") if told.get(key)]
    except (ValueError, TypeError, KeyError, AttributeError):
        parts = []
    return f"{response.status_code} " + (" | ".join(parts) or response.reason_phrase)

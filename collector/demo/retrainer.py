"""The local retrainer's ear: takes signed requests to retrain, one thread behind a loopback port.

Decides that only a CloudEvent signed by the shared secret (Standard Webhooks, a few minutes old at
most) is heard, and that a repetition is answered but not obeyed twice. The secret and the port
live as long as the process; the policy names them by reference, `environment` holds their values.
Hides HTTP. What is done with a request is decided by who calls `serve`.
"""

import base64
import binascii
import queue
import secrets
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Self

import msgspec
from msgspec import Struct
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

URL_NAME: Final = "MODELWITNESS_DEMO_RETRAINER_URL"
SECRET_NAME: Final = "MODELWITNESS_DEMO_RETRAINER_SECRET"  # noqa: S105  (the name, not the value)
EVENT_TYPE: Final = "modelwitness.RetrainingApproved.v1"
_MOST_BYTES: Final = 262_144


class Named(Struct, frozen=True):
    name: str
    version: str


class Order(Struct, frozen=True):
    """What an approved case asks for; `labels` and `acknowledge` are paths of the API."""

    case: str
    model: Named
    labels: str
    acknowledge: str
    simulated: bool = False


def order_of(case: str, model: str, version: str) -> Order:
    """The order that an approved case stands for, as its webhook would bring it."""
    path = f"/v1/cases/{case}"
    return Order(case, Named(model, version), f"{path}/labels.parquet", f"{path}/acknowledge")


class _Cloud(Struct, frozen=True):
    type: str
    data: Order


_decode_cloud = msgspec.json.Decoder(_Cloud).decode


class Retrainer:
    """Listens from the moment it is made. Use it as a context, which ends its threads."""

    def __init__(self, random: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self._secret = "whsec_" + base64.b64encode(random(32)).decode()
        self._orders: queue.SimpleQueue[Order | None] = queue.SimpleQueue()
        self._heard: set[str] = set()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._threads:
            self._server.shutdown()
            self._orders.put(None)
        for thread in self._threads:
            thread.join()
        self._server.server_close()

    @property
    def environment(self) -> dict[str, str]:
        """Variables that the process which dispatches cases must see."""
        return {
            URL_NAME: f"http://127.0.0.1:{self._server.server_port}/retrain",
            SECRET_NAME: self._secret,
        }

    def serve(self, obey: Callable[[Order], None]) -> None:
        """Begin to answer; every order goes to `obey`, one at a time, in a thread of its own."""

        def work() -> None:
            while (order := self._orders.get()) is not None:
                obey(order)

        for target in (self._server.serve_forever, work):
            thread = threading.Thread(target=target, daemon=True)
            thread.start()
            self._threads.append(thread)

    def hear(self, headers: dict[str, str], body: bytes) -> int:
        """Return the HTTP status for a request; queue its order when it is new and genuine."""
        try:
            Webhook(self._secret).verify(body, headers, json_parse=False)
        except (WebhookVerificationError, ValueError, binascii.Error, OverflowError):
            return 401  # the library lets malformed headers out as ValueError
        try:
            cloud = _decode_cloud(body)
        except msgspec.MsgspecError:
            return 400
        if cloud.type != EVENT_TYPE:
            return 400
        with self._lock:
            if cloud.data.case in self._heard:
                return 200
            self._heard.add(cloud.data.case)
        self._orders.put(cloud.data)
        return 202

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        hear = self.hear

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = self.headers.get("Content-Length", "")
                if not length.isdigit() or int(length) > _MOST_BYTES:
                    status = 413
                    self.close_connection = True
                else:
                    body = self.rfile.read(int(length))
                    status = hear(dict(self.headers.items()), body)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing: the bar of the demonstration owns the terminal."""

        return Handler

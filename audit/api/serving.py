"""One HTTP server in this process: how it listens, what it says, how it ends.

Decides uvicorn's settings, and that a server which is asked to stop answers what it began, lets
its owner close what it holds, and ends without an error.
"""

import signal
import socket
import sys
from collections.abc import Callable

import uvicorn

from audit.api.protocol import BoundedProtocol

NOT_STARTED = 3
"""Exit code, uvicorn's own, when it could not listen; it has said why."""


def listen(application: object, host: str, port: int, ready: Callable[[], None]) -> None:
    """Serve an ASGI application until SIGTERM or Ctrl-C; `ready` is called once it listens."""
    config = uvicorn.Config(
        application,  # type: ignore[arg-type]  # any ASGI application, which uvicorn spells out
        host=host,
        port=port,
        loop="uvloop",
        http=BoundedProtocol,
        limit_concurrency=1_024,
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=5,
    )
    server = _Announced(config, ready)
    # uvicorn raises the signal again when it has stopped, which by default would end us there.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        server.run()
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGTERM, before)
    if not server.started:
        sys.exit(NOT_STARTED)


class _Announced(uvicorn.Server):
    """Tells when it listens, which uvicorn itself only logs."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()

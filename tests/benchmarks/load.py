"""The load generator, a process of its own: keeps N connections busy with prepared requests.

    python load.py HOST PORT CONNECTIONS REQUESTS_FILE

The file holds requests, each behind its length (4 bytes). Prints one JSON object: seconds, answers
by status, and latencies in ms at p50 and p99. It parses no more of an answer than it must.
"""

import asyncio
import json
import re
import sys
import time
from collections import Counter, deque
from pathlib import Path
from typing import cast

_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


class _Connection(asyncio.Protocol):
    def __init__(self, run: "_Run") -> None:
        self._run = run
        self._held = b""
        self._sent = 0.0
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own has another base
        self._next()

    def data_received(self, data: bytes) -> None:
        self._held += data
        head, end, body = self._held.partition(b"\r\n\r\n")
        if not end:
            return
        length = _LENGTH.search(head)
        if length is not None and len(body) < int(length[1]):
            return
        self._held = b""
        self._run.answered(head[9:12].decode(), time.perf_counter() - self._sent)
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        self._run.finished()

    def _next(self) -> None:
        request = self._run.take()
        if request is None:
            self._transport.close()
            return
        self._sent = time.perf_counter()
        self._transport.write(request)


class _Run:
    def __init__(self, requests: list[bytes], connections: int) -> None:
        self._requests = deque(requests)
        self._open = connections
        self.statuses: Counter[str] = Counter()
        self.latencies: list[float] = []
        self.done = asyncio.Event()

    def take(self) -> bytes | None:
        return self._requests.popleft() if self._requests else None

    def answered(self, status: str, seconds: float) -> None:
        self.statuses[status] += 1
        self.latencies.append(seconds)

    def finished(self) -> None:
        self._open -= 1
        if not self._open:
            self.done.set()


async def main(host: str, port: int, connections: int, raw: bytes) -> None:
    requests = []
    at = 0
    while at < len(raw):
        length = int.from_bytes(raw[at : at + 4])
        requests.append(raw[at + 4 : at + 4 + length])
        at += 4 + length
    run = _Run(requests, connections)
    loop = asyncio.get_running_loop()
    start = time.perf_counter()
    await asyncio.gather(
        *(loop.create_connection(lambda: _Connection(run), host, port) for _ in range(connections))
    )
    await run.done.wait()
    seconds = time.perf_counter() - start
    ordered = sorted(run.latencies)
    found = {
        "seconds": seconds,
        "statuses": dict(run.statuses),
        "p50_ms": ordered[len(ordered) // 2] * 1000,
        "p99_ms": ordered[len(ordered) * 99 // 100] * 1000,
    }
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    import uvloop

    uvloop.run(
        main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]).read_bytes())
    )

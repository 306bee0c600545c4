"""A channel between two processes: messages over a stream socket.

Decides framing (4 bytes of length, then MessagePack) and that senders never wait: messages gather
while one is being written and go out together. Hides the writing thread; reading is the caller's.
"""

import contextlib
import socket
import threading
from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

import msgspec

T = TypeVar("T", bound=msgspec.Struct)
U = TypeVar("U", bound=msgspec.Struct)


class Channel(Generic[T, U]):
    """Sends messages of one type and receives those of another."""

    def __init__(self, end: socket.socket, receives: type[U]) -> None:
        self._end = end
        self._decode = msgspec.msgpack.Decoder(list[receives]).decode  # type: ignore[valid-type]  # a type at run time
        self._encode = msgspec.msgpack.Encoder().encode
        self._waiting: deque[T] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._writer = threading.Thread(target=self._write, name="channel", daemon=True)
        self._writer.start()

    def send(self, message: T) -> None:
        """Send a message, after those before it; it is lost where the other end is gone."""
        with self._changed:
            self._waiting.append(message)
            self._changed.notify()

    def received(self) -> Iterator[U]:
        """Yield messages until the other end is closed."""
        while True:
            head = self._exactly(4)
            content = head and self._exactly(int.from_bytes(head))
            if not content:
                return
            yield from self._decode(content)

    def finish(self) -> None:
        """Send what waits, then tell the other end that no more comes; it may still answer."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._writer.join()

    def close(self) -> None:
        """Finish, and let go of the socket; call it when nobody reads any more."""
        self.finish()
        self._end.close()

    def _write(self) -> None:
        try:
            while messages := self._next():
                content = self._encode(messages)
                self._end.sendall(len(content).to_bytes(4) + content)
        except OSError:
            pass  # the other end is gone: whoever reads learns it
        finally:
            with contextlib.suppress(OSError):
                self._end.shutdown(socket.SHUT_WR)

    def _next(self) -> list[T]:
        """Wait for messages and take them; nothing means closed."""
        with self._changed:
            while not self._waiting and not self._closed:
                self._changed.wait()
            messages = list(self._waiting)
            self._waiting.clear()
            return messages

    def _exactly(self, count: int) -> bytes:
        """Return `count` bytes, or none where the other end closed before them."""
        content = bytearray(count)
        view = memoryview(content)
        while view:
            try:
                got = self._end.recv_into(view)
            except OSError:
                got = 0
            if not got:
                return b""
            view = view[got:]
        return bytes(content)

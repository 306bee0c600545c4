"""A message's body without its content encoding, within limits.

Decides which encodings senders of integrations may use: gzip, and deflate, which half of the world
sends with zlib's frame and half without. Encodings inside each other are refused.
"""

import zlib

from collector.adapters.wire import Message
from collector.decode import unpack
from collector.errors import Malformed, TooLarge
from collector.limits import Limits


def unpacked(message: Message, limits: Limits) -> bytes:
    """Return the body as its sender meant it.

    Raises `UnsupportedEncoding`, `Malformed`, or `TooLarge` as soon as more than
    `limits.unpacked_bytes` come out.
    """
    encoding = message.header("content-encoding")
    if encoding is not None and encoding.strip().lower() == "deflate":
        return _inflated(message.body, limits)
    return unpack(message.body, encoding, limits)


def _inflated(body: bytes, limits: Limits) -> bytes:
    for bits in (zlib.MAX_WBITS, -zlib.MAX_WBITS):
        member = zlib.decompressobj(wbits=bits)
        try:
            found = member.decompress(body, limits.unpacked_bytes + 1)
        except zlib.error:
            continue
        if len(found) > limits.unpacked_bytes:
            raise TooLarge(
                f"the body is longer than {limits.unpacked_bytes} bytes after decompression",
                remedy="Send fewer items in one request.",
            )
        if member.eof and not member.unused_data:
            return found
    raise Malformed(
        "the body is not a whole deflate stream",
        field="Content-Encoding",
        remedy="Compress the body with deflate or gzip, or leave Content-Encoding out.",
    )

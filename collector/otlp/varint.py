"""The variable-length integers of protobuf: seven bits a byte, the lowest first."""


def written(value: int) -> bytes:
    """The bytes of a number that is not negative."""
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def read(message: bytes, at: int) -> tuple[int, int]:
    """The number at a place and the place after it; raises `ValueError` where there is none."""
    value = shift = 0
    for place in range(at, min(at + 10, len(message))):
        byte = message[place]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place + 1
        shift += 7
    raise ValueError("no varint")

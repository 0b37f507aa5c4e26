"""Build frames of the exchange from bytes that are serialised already.

Protobuf may be concatenated: a field is its tag, its length and its bytes. The hot paths of
the benchmark join such pieces instead of filling message objects field by field.
"""

from __future__ import annotations

_NUMBER = b"\x08"
_CONFIRMED_NUMBER = b"\x10"
_BATCH = b"\x5a"
_ENVELOPE = b"\x0a"


def varint(value: int) -> bytes:
    """Return a whole number, 0 or more, as protobuf writes it."""
    if value < 0x80:
        return _ONE_BYTE[value]
    if value < 0x4000:
        return bytes((value & 0x7F | 0x80, value >> 7))
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def field(number: int, content: bytes) -> bytes:
    """Return a field of bytes, text or a message: tag, length, content."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def framed(envelope: bytes) -> bytes:
    """Return an envelope as one entry of a batch; both directions number it alike."""
    return _ENVELOPE + varint(len(envelope)) + envelope


def batch_frame(number: int, confirmed_number: int, body: bytes) -> bytes:
    """Return a request or response whose batch is `body`; both directions look alike."""
    return b"".join(
        (
            _NUMBER,
            varint(number),
            _CONFIRMED_NUMBER,
            varint(confirmed_number),
            _BATCH,
            varint(len(body)),
            body,
        )
    )


def bare_frame(confirmed_number: int) -> bytes:
    """Return a frame without content, which only confirms and shows that its sender lives."""
    return _CONFIRMED_NUMBER + varint(confirmed_number)


_ONE_BYTE = tuple(bytes((value,)) for value in range(0x80))

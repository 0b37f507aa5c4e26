"""One grpc call on one HTTP/2 connection, seen from the client: bytes in, bytes out.

grpc's own channel costs a client 60 kB and several threads' attention for each connection;
five thousand of them would measure the client. This is the least that a grpc server accepts:
one stream, headers written without a table, both flow-control windows kept, pings and
settings answered. What the server's headers say is not decoded; only where they end matters.

Pure: whoever holds the socket hands in what came (`receive`) and sends what `outgoing` holds.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
WINDOW_DEFAULT = 65_535
FRAME_BYTES_MAX = 16_384
MESSAGE_BYTES_MAX = 64 * 1024 * 1024
HEADER_BYTES = 9
PREFIX_BYTES = 5

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM = ACK = 0x1
END_HEADERS = 0x4
ENABLE_PUSH, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE = 2, 4, 5
STREAM = 1


class Http2Error(Exception):
    """The server said what no grpc server says; the text says what."""


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """Return a frame of HTTP/2."""
    return (len(payload) << 8 | kind).to_bytes(4) + struct.pack(">BL", flags, stream) + payload


def header_block(headers: Iterable[tuple[str, str]]) -> bytes:
    """Return headers as HPACK literals that enter no table."""
    block = bytearray()
    for pair in headers:
        block.append(0)
        for text in pair:
            raw = text.encode()
            block += _length(len(raw)) + raw
    return bytes(block)


def _length(value: int) -> bytes:
    """Return a length as HPACK writes it with a prefix of seven bits."""
    if value < 127:
        return bytes((value,))
    encoded = bytearray((127,))
    value -= 127
    while value >= 128:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


class Call:
    """The client's side of one call and its connection."""

    __slots__ = (
        "_body",
        "_frame_bytes_max",
        "_frames",
        "_half_closing",
        "_initial_window",
        "_unread",
        "_window",
        "_window_connection",
        "_window_stream",
        "_written",
        "ending",
        "outgoing",
        "started",
    )

    def __init__(
        self, authority: str, path: str, metadata: Sequence[tuple[str, str]], window: int
    ) -> None:
        """Open the call; `window` is how many bytes the server may send unread."""
        self.started = False
        """Has the server accepted the call? It has when its headers came."""
        self.ending: str | None = None
        """Why the call is over, None while it is not."""
        self._window = window
        self._unread = 0
        self._frames = bytearray()
        self._body = bytearray()
        self._written = bytearray()
        self._half_closing = False
        self._frame_bytes_max = FRAME_BYTES_MAX
        self._initial_window = WINDOW_DEFAULT
        self._window_stream = WINDOW_DEFAULT
        self._window_connection = WINDOW_DEFAULT
        headers = (
            (":method", "POST"),
            (":scheme", "http"),
            (":path", path),
            (":authority", authority),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
            ("user-agent", "llmx-loadtest/0.1"),
            *metadata,
        )
        settings = struct.pack(">HLHL", ENABLE_PUSH, 0, INITIAL_WINDOW_SIZE, window)
        self.outgoing: list[bytes] = [
            PREFACE,
            frame(SETTINGS, 0, 0, settings),
            frame(WINDOW_UPDATE, 0, 0, struct.pack(">L", window)),
            frame(HEADERS, END_HEADERS, STREAM, header_block(headers)),
        ]

    def send(self, message: bytes) -> None:
        """Send a message as far as the windows allow; the rest follows when they open."""
        self._written += struct.pack(">BL", 0, len(message)) + message
        self._flush()

    def half_close(self) -> None:
        """Say that nothing more will be sent."""
        self._half_closing = True
        self._flush()

    def receive(self, data: bytes) -> list[bytes]:
        """Take what came and return the messages that are whole; raises Http2Error."""
        frames = self._frames
        frames += data
        messages: list[bytes] = []
        at = 0
        while len(frames) - at >= HEADER_BYTES:
            length = frames[at] << 16 | frames[at + 1] << 8 | frames[at + 2]
            end = at + HEADER_BYTES + length
            if len(frames) < end:
                break
            payload = bytes(frames[at + HEADER_BYTES : end])
            self._take(frames[at + 3], frames[at + 4], frames[at + 8], payload, messages)
            at = end
        del frames[:at]
        return messages

    def _take(
        self, kind: int, flags: int, stream: int, payload: bytes, messages: list[bytes]
    ) -> None:
        """Handle one frame; `stream` is 0 for the connection and not 0 for the call."""
        if kind == DATA:
            self._count(len(payload))
            self._body += payload
            self._cut_messages(messages)
            if flags & END_STREAM:
                self._end("the server half-closed it")
        elif kind == HEADERS:
            self.started = True
            if flags & END_STREAM:
                self._end(_printable(payload))
        elif kind == WINDOW_UPDATE:
            more = int.from_bytes(payload) & 0x7FFF_FFFF
            if stream:
                self._window_stream += more
            else:
                self._window_connection += more
            self._flush()
        elif kind == SETTINGS and not flags & ACK:
            for at in range(0, len(payload) - 5, 6):
                self._set(*struct.unpack_from(">HL", payload, at))
            self.outgoing.append(frame(SETTINGS, ACK, 0, b""))
        elif kind == PING and not flags & ACK:
            self.outgoing.append(frame(PING, ACK, 0, payload))
        elif kind == RST_STREAM:
            self._end(f"reset with code {int.from_bytes(payload)}")
        elif kind == GOAWAY and not self.started:
            self._end(f"refused: {_printable(payload[8:])}")

    def _set(self, setting: int, value: int) -> None:
        if setting == INITIAL_WINDOW_SIZE:
            self._window_stream += value - self._initial_window
            self._initial_window = value
        elif setting == MAX_FRAME_SIZE:
            self._frame_bytes_max = value

    def _count(self, size: int) -> None:
        """Let the server send as much again as was read, half a window at a time."""
        self._unread += size
        if self._unread * 2 >= self._window:
            more = struct.pack(">L", self._unread)
            self.outgoing.append(frame(WINDOW_UPDATE, 0, 0, more))
            self.outgoing.append(frame(WINDOW_UPDATE, 0, STREAM, more))
            self._unread = 0

    def _cut_messages(self, messages: list[bytes]) -> None:
        body = self._body
        at = 0
        while len(body) - at >= PREFIX_BYTES:
            compressed, length = struct.unpack_from(">BL", body, at)
            if compressed or length > MESSAGE_BYTES_MAX:
                raise Http2Error(f"a message of {length} bytes, compressed: {compressed}")
            end = at + PREFIX_BYTES + length
            if len(body) < end:
                break
            messages.append(bytes(body[at + PREFIX_BYTES : end]))
            at = end
        del body[:at]

    def _flush(self) -> None:
        written = self._written
        while written:
            size = min(
                len(written), self._window_stream, self._window_connection, self._frame_bytes_max
            )
            if size <= 0:
                return
            self.outgoing.append(frame(DATA, 0, STREAM, bytes(written[:size])))
            del written[:size]
            self._window_stream -= size
            self._window_connection -= size
        if self._half_closing:
            self._half_closing = False
            self.outgoing.append(frame(DATA, END_STREAM, STREAM, b""))

    def _end(self, reason: str) -> None:
        if self.ending is None:
            self.ending = reason


def _printable(raw: bytes) -> str:
    """Return what a person can read of bytes that are not decoded."""
    return "".join(chr(byte) if 32 <= byte < 127 else " " for byte in raw).strip()

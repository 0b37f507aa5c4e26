"""As much of HTTP/2 and gRPC as it takes to disturb a connection frame by frame.

A `Frame` is one HTTP/2 frame as it came. `MessageBounds` follows the gRPC messages of one
direction through its DATA frames and tells which frames hold whole messages. `Windows` follows
how much the receiver of one direction takes, and keeps some of it from the sender, so that a
frame can be sent twice without breaking flow control.
"""

from __future__ import annotations

from dataclasses import dataclass

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADER_BYTES = 9
DATA, RST_STREAM, SETTINGS, WINDOW_UPDATE = 0x0, 0x3, 0x4, 0x8
END_STREAM, ACK, PADDED = 0x1, 0x1, 0x8
MESSAGE_HEADER_BYTES = 5
WINDOW_AT_FIRST = 65_535
INITIAL_WINDOW_SIZE = 4
STREAMS_FOLLOWED_MAX = 1024
RESERVE_BYTES = 64 * 1024
PLENTY_BYTES = 1024 * 1024
SCARCE_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame, header and all."""

    raw: bytes

    @property
    def kind(self) -> int:
        return self.raw[3]

    @property
    def flags(self) -> int:
        return self.raw[4]

    @property
    def stream(self) -> int:
        """Return the stream it belongs to; 0 is the connection."""
        return int.from_bytes(self.raw[5:9], "big") & 0x7FFF_FFFF

    @property
    def payload(self) -> bytes:
        return self.raw[HEADER_BYTES:]

    @property
    def is_data(self) -> bool:
        return self.kind == DATA


def payload_bytes(header: bytes) -> int:
    """Return how many bytes follow the header of a frame."""
    return int.from_bytes(header[:3], "big")


def frame_of(kind: int, flags: int, stream: int, payload: bytes) -> Frame:
    """Build a frame."""
    head = len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big")
    return Frame(head + payload)


@dataclass(slots=True)
class _Reading:
    """Where one stream stands between two messages."""

    begun: int = 0
    header: bytes = b""
    missing: int = 0

    @property
    def is_between(self) -> bool:
        return not self.header and not self.missing

    def advance(self, data: bytes) -> None:
        while data:
            if self.missing:
                data, self.missing = data[self.missing :], max(self.missing - len(data), 0)
                continue
            wanted = MESSAGE_HEADER_BYTES - len(self.header)
            self.header, data = self.header + data[:wanted], data[wanted:]
            if len(self.header) == MESSAGE_HEADER_BYTES:
                self.missing = int.from_bytes(self.header[1:], "big")
                self.header = b""
                self.begun += 1


class MessageBounds:
    """Where the gRPC messages of one direction begin and end."""

    def __init__(self) -> None:
        """Follow a new connection."""
        self._streams: dict[int, _Reading] = {}

    def are_whole_in(self, frame: Frame) -> bool:
        """Take the next frame; tell whether it holds whole messages that may be sent twice.

        The first message of a stream opens it, and the last one closes it: neither is told
        to be repeatable, nor is anything of a stream beyond those that are followed.
        """
        stream = frame.stream
        if frame.kind == RST_STREAM:
            self._streams.pop(stream, None)
        if not frame.is_data:
            return False
        reading = self._streams.get(stream)
        if reading is None:
            if len(self._streams) >= STREAMS_FOLLOWED_MAX:
                return False
            reading = self._streams[stream] = _Reading()
        began_between, had_begun = reading.is_between, reading.begun
        if frame.flags & PADDED:
            padding = frame.payload[0]
            reading.advance(frame.payload[1 : len(frame.payload) - padding])
            return False
        reading.advance(frame.payload)
        if frame.flags & END_STREAM:
            del self._streams[stream]
            return False
        is_whole = began_between and reading.is_between and bool(frame.payload)
        return is_whole and had_begun > 0


class Windows:
    """How many bytes of DATA the receiver of one direction still takes.

    Where the receiver takes plenty, a reserve of that is kept from the sender; copies are paid
    out of it. When the receiver takes little, the sender gets back what is left of the reserve.
    """

    def __init__(self) -> None:
        """Follow a new connection."""
        self._initial = WINDOW_AT_FIRST
        self._room = {0: WINDOW_AT_FIRST}
        self._kept = {0: 0}

    def room(self, stream: int) -> int:
        """Return how many bytes more the receiver takes on a stream."""
        return min(self._room[0], self._room.get(stream, self._initial))

    def may_double(self, frame: Frame) -> bool:
        """Tell whether a copy of a frame can be paid out of the reserve."""
        size, stream = len(frame.payload), frame.stream
        return stream in self._kept and size <= min(self._kept[0], self._kept[stream])

    def sent(self, frame: Frame) -> list[Frame]:
        """Hear that a frame went to the receiver; return what its sender shall be told."""
        stream = frame.stream
        if frame.kind == RST_STREAM:
            self._forget(stream)
        if not frame.is_data or not self._follow(stream):
            return []
        self._use(frame)
        told = [self._give_back(one) for one in (0, stream) if self._is_scarce(one)]
        if frame.flags & END_STREAM:
            self._forget(stream)
        return told

    def sent_again(self, frame: Frame) -> None:
        """Hear that a copy went to the receiver, of which the sender knows nothing."""
        self._use(frame)
        for stream in (0, frame.stream):
            self._kept[stream] -= len(frame.payload)

    def heard(self, frame: Frame) -> Frame | None:
        """Take a frame of the receiver; return what its sender shall see of it."""
        if frame.kind == SETTINGS and not frame.flags & ACK:
            return self._settings(frame)
        if frame.kind == RST_STREAM:
            self._forget(frame.stream)
        elif frame.kind == WINDOW_UPDATE and self._follow(frame.stream):
            return self._opened(frame)
        return frame

    def _follow(self, stream: int) -> bool:
        if stream not in self._room:
            if len(self._room) > STREAMS_FOLLOWED_MAX:
                return False
            self._room[stream] = self._initial
            self._kept[stream] = _kept_of(self._initial)
        return True

    def _forget(self, stream: int) -> None:
        self._room.pop(stream, None)
        self._kept.pop(stream, None)

    def _use(self, frame: Frame) -> None:
        for stream in (0, frame.stream):
            self._room[stream] -= len(frame.payload)

    def _is_scarce(self, stream: int) -> bool:
        return self._room[stream] < SCARCE_BYTES and self._kept[stream] > 0

    def _give_back(self, stream: int) -> Frame:
        kept, self._kept[stream] = self._kept[stream], 0
        return frame_of(WINDOW_UPDATE, 0, stream, kept.to_bytes(4, "big"))

    def _opened(self, frame: Frame) -> Frame | None:
        stream, more = frame.stream, int.from_bytes(frame.payload, "big")
        self._room[stream] += more
        kept = self._kept[stream]
        goal = _kept_of(self._room[stream])
        taken = min(more, max(goal - kept, 0))
        self._kept[stream] = kept + taken
        if not taken:
            return frame
        if more == taken:
            return None
        return frame_of(WINDOW_UPDATE, 0, stream, (more - taken).to_bytes(4, "big"))

    def _settings(self, frame: Frame) -> Frame:
        payload = bytearray(frame.payload)
        for at in range(0, len(payload) - 5, 6):
            if int.from_bytes(payload[at : at + 2], "big") == INITIAL_WINDOW_SIZE:
                initial = int.from_bytes(payload[at + 2 : at + 6], "big")
                kept = _kept_of(initial)
                payload[at + 2 : at + 6] = (initial - kept).to_bytes(4, "big")
                for stream in self._room.keys() - {0}:
                    self._room[stream] += initial - self._initial
                    self._kept[stream] += kept - _kept_of(self._initial)
                self._initial = initial
        return frame_of(SETTINGS, frame.flags, 0, bytes(payload))


def _kept_of(room: int) -> int:
    """Return how much of so much room is kept from the sender."""
    return RESERVE_BYTES if room >= PLENTY_BYTES else 0

"""What is read off the frames of a connection, and what room its receiver has."""

from __future__ import annotations

from tests.support.http2_frames import (
    ACK,
    DATA,
    END_STREAM,
    PADDED,
    RESERVE_BYTES,
    RST_STREAM,
    SETTINGS,
    WINDOW_AT_FIRST,
    WINDOW_UPDATE,
    Frame,
    MessageBounds,
    Windows,
    frame_of,
    payload_bytes,
)

MIB = 1024 * 1024


def message(size: int) -> bytes:
    return b"\0" + size.to_bytes(4, "big") + bytes(size)


def data(payload: bytes, stream: int = 1, flags: int = 0) -> Frame:
    return frame_of(DATA, flags, stream, payload)


def update(stream: int, more: int) -> Frame:
    return frame_of(WINDOW_UPDATE, 0, stream, more.to_bytes(4, "big"))


def test_a_frame_says_what_it_is() -> None:
    frame = data(b"abc", stream=5, flags=END_STREAM)
    assert (frame.kind, frame.flags, frame.stream, frame.payload) == (DATA, END_STREAM, 5, b"abc")
    assert frame.is_data
    assert payload_bytes(frame.raw) == 3


def test_only_frames_of_whole_messages_may_be_repeated() -> None:
    bounds = MessageBounds()
    two = message(10) + message(0)
    frames = [data(message(3)), data(two), data(two[:4]), data(two[4:]), data(two)]
    assert [bounds.are_whole_in(frame) for frame in frames] == [False, True, False, False, True]


def test_a_message_may_come_byte_by_byte() -> None:
    bounds = MessageBounds()
    for byte in message(2) + message(7):
        assert not bounds.are_whole_in(data(bytes((byte,))))
    assert bounds.are_whole_in(data(message(1)))


def test_what_opens_or_ends_a_stream_may_not_be_repeated() -> None:
    bounds = MessageBounds()
    assert not bounds.are_whole_in(data(message(1)))
    assert not bounds.are_whole_in(data(message(1), flags=END_STREAM))
    assert not bounds.are_whole_in(data(message(1)))  # the same number again: a new stream
    bounds.are_whole_in(frame_of(RST_STREAM, 0, 1, bytes(4)))
    assert not bounds.are_whole_in(data(message(1)))


def test_padding_is_no_part_of_a_message() -> None:
    bounds = MessageBounds()
    assert not bounds.are_whole_in(data(b"\2" + message(4) + b"\0\0", flags=PADDED))
    assert bounds.are_whole_in(data(message(1)))


def test_what_is_sent_uses_the_room_of_its_stream_and_of_the_connection() -> None:
    windows = Windows()
    windows.sent(data(bytes(1000), stream=1))
    windows.sent(data(bytes(200), stream=3))
    assert windows.room(1) == WINDOW_AT_FIRST - 1200
    assert windows.heard(update(0, 5000)) == update(0, 5000)
    assert windows.room(1) == WINDOW_AT_FIRST - 1000
    assert windows.heard(update(1, 1000)) == update(1, 1000)
    assert windows.room(1) == WINDOW_AT_FIRST


def setting(initial: int) -> Frame:
    return frame_of(SETTINGS, 0, 0, (4).to_bytes(2, "big") + initial.to_bytes(4, "big"))


def plenty() -> Windows:
    """Return windows whose receiver takes four megabytes, on the connection and each stream."""
    windows = Windows()
    windows.heard(setting(4 * MIB))
    windows.heard(update(0, 4 * MIB - WINDOW_AT_FIRST))
    return windows


def test_where_there_is_plenty_the_sender_is_told_of_less() -> None:
    windows = Windows()
    assert windows.heard(setting(65_535)) == setting(65_535)
    assert windows.heard(setting(4 * MIB)) == setting(4 * MIB - RESERVE_BYTES)
    assert windows.heard(update(0, 4 * MIB)) == update(0, 4 * MIB - RESERVE_BYTES)
    assert windows.heard(frame_of(SETTINGS, ACK, 0, b"")) == frame_of(SETTINGS, ACK, 0, b"")
    assert windows.room(3) == 4 * MIB


def test_a_copy_is_paid_out_of_the_reserve_and_the_reserve_out_of_the_next_updates() -> None:
    windows, frame = plenty(), data(bytes(40_000))
    assert windows.sent(frame) == []
    assert windows.may_double(frame)
    windows.sent_again(frame)
    assert not windows.may_double(frame)
    assert windows.room(1) == 4 * MIB - 80_000
    assert windows.heard(update(1, 30_000)) is None
    assert windows.heard(update(1, 50_000)) == update(1, 40_000)
    assert windows.heard(update(0, 80_000)) == update(0, 40_000)
    assert windows.may_double(frame)


def test_nothing_is_doubled_for_a_receiver_that_takes_little() -> None:
    windows, frame = Windows(), data(bytes(10))
    windows.sent(frame)
    assert not windows.may_double(frame)
    assert windows.heard(update(1, 70_000)) == update(1, 70_000)


def test_when_room_gets_scarce_the_sender_gets_the_reserve() -> None:
    """Or it would wait for room that the receiver believes to have given."""
    windows = plenty()
    told = [windows.sent(data(bytes(16_000))) for _ in range(250)]
    assert [one for one in told if one] == [[update(0, RESERVE_BYTES), update(1, RESERVE_BYTES)]]

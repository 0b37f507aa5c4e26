"""A call on a bare connection keeps the rules of HTTP/2 that a server of grpc insists on."""

from __future__ import annotations

import struct

import pytest

from loadtest import http2
from loadtest.http2 import Call, Http2Error, frame, header_block


def _call(window: int = 1_000) -> Call:
    call = Call("127.0.0.1:1", "/s/M", (("authorization", "Bearer t"),), window)
    call.outgoing.clear()
    return call


def _message(body: bytes) -> bytes:
    return struct.pack(">BL", 0, len(body)) + body


def _sent_bodies(call: Call) -> list[bytes]:
    return [sent[http2.HEADER_BYTES :] for sent in call.outgoing if sent[3] == http2.DATA]


def test_a_call_opens_with_preface_settings_window_and_headers() -> None:
    call = Call("127.0.0.1:1", "/s/M", (), 100)
    preface, *frames = call.outgoing
    assert preface == http2.PREFACE
    assert [sent[3] for sent in frames] == [http2.SETTINGS, http2.WINDOW_UPDATE, http2.HEADERS]


@pytest.mark.parametrize(("length", "octets"), [(5, 1), (126, 1), (127, 2), (254, 2), (300, 3)])
def test_the_length_of_a_header_takes_as_many_octets_as_it_needs(length: int, octets: int) -> None:
    block = header_block([("n", "v" * length)])
    assert len(block) == 1 + 2 + octets + length


@pytest.mark.parametrize("step", [1, 7, 1_000])
def test_messages_are_whole_however_their_bytes_arrive(step: int) -> None:
    bodies = [b"", b"one", b"x" * 300]
    raw = b"".join(map(_message, bodies))
    stream = frame(http2.DATA, 0, 1, raw[:10]) + frame(http2.DATA, 0, 1, raw[10:])
    call = _call()
    heard: list[bytes] = []
    for at in range(0, len(stream), step):
        heard += call.receive(stream[at : at + step])
    assert heard == bodies


def test_half_a_window_read_opens_it_again_for_stream_and_connection() -> None:
    call = _call(window=1_000)
    call.receive(frame(http2.DATA, 0, 1, _message(b"x" * 400)))
    assert call.outgoing == []
    call.receive(frame(http2.DATA, 0, 1, _message(b"x" * 90)))
    more = struct.pack(">L", 500)
    assert call.outgoing == [
        frame(http2.WINDOW_UPDATE, 0, 0, more),
        frame(http2.WINDOW_UPDATE, 0, 1, more),
    ]


def test_what_the_server_has_no_window_for_waits() -> None:
    call = _call()
    whole = _message(b"x" * 100_000)
    call.send(whole[http2.PREFIX_BYTES :])
    sent = _sent_bodies(call)
    assert sum(map(len, sent)) == http2.WINDOW_DEFAULT
    assert max(map(len, sent)) <= http2.FRAME_BYTES_MAX
    more = struct.pack(">L", 100_000)
    call.receive(frame(http2.WINDOW_UPDATE, 0, 0, more))
    assert sum(map(len, _sent_bodies(call))) == http2.WINDOW_DEFAULT
    call.receive(frame(http2.WINDOW_UPDATE, 0, 1, more))
    assert b"".join(_sent_bodies(call)) == whole


def test_a_half_close_comes_after_what_still_waits() -> None:
    call = _call()
    call.send(b"x" * http2.WINDOW_DEFAULT)
    call.half_close()
    assert all(not sent[4] & http2.END_STREAM for sent in call.outgoing)
    more = struct.pack(">L", 10)
    call.receive(frame(http2.WINDOW_UPDATE, 0, 0, more) + frame(http2.WINDOW_UPDATE, 0, 1, more))
    assert call.outgoing[-1] == frame(http2.DATA, http2.END_STREAM, 1, b"")


def test_settings_and_pings_are_answered_once() -> None:
    call = _call()
    settings = struct.pack(">HL", http2.INITIAL_WINDOW_SIZE, 70_000)
    call.receive(frame(http2.SETTINGS, 0, 0, settings) + frame(http2.PING, 0, 0, b"12345678"))
    call.receive(frame(http2.SETTINGS, http2.ACK, 0, b""))
    call.receive(frame(http2.PING, http2.ACK, 0, b"12345678"))
    assert call.outgoing == [
        frame(http2.SETTINGS, http2.ACK, 0, b""),
        frame(http2.PING, http2.ACK, 0, b"12345678"),
    ]


def test_headers_start_a_call_and_trailers_end_it_with_their_words() -> None:
    call = _call()
    call.receive(frame(http2.HEADERS, http2.END_HEADERS, 1, b"\x88"))
    assert call.started and call.ending is None
    trailers = header_block([("grpc-message", "slow_consumer")])
    call.receive(frame(http2.HEADERS, http2.END_HEADERS | http2.END_STREAM, 1, trailers))
    assert "slow_consumer" in str(call.ending)


def test_a_reset_ends_a_call() -> None:
    call = _call()
    call.receive(frame(http2.RST_STREAM, 0, 1, (8).to_bytes(4)))
    assert call.ending == "reset with code 8"


def test_a_compressed_message_is_nothing_that_we_asked_for() -> None:
    with pytest.raises(Http2Error, match="compressed"):
        _call().receive(frame(http2.DATA, 0, 1, b"\x01\x00\x00\x00\x01x"))

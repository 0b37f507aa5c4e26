"""Tests of worker process."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from gateway.worker_process import HEADER, READY, pack

PROGRAM = (
    "import sys; sys.path[:] = sys.argv[2:]; "
    "from gateway.worker_process import serve; serve(int(sys.argv[1]))"
)


def test_a_frame_is_its_lengths_and_then_its_parts() -> None:
    frame = pack(b"order", b"payload!", b"schema")
    assert HEADER.unpack_from(frame) == (5, 8, 6)
    assert frame[HEADER.size :] == b"orderpayload!schema"
    assert HEADER.unpack_from(pack(b"")) == (0, 0, 0)


@pytest.mark.slow
@pytest.mark.parametrize("is_parent", [True, False])
def test_a_worker_ends_by_itself_when_its_socket_or_its_parent_ends(is_parent: bool) -> None:
    ours, theirs = socket.socketpair()
    parent = os.getpid() if is_parent else 1
    command = [sys.executable, "-c", PROGRAM, str(parent), *sys.path]
    with ours, subprocess.Popen(command, stdin=theirs.fileno()) as worker:
        theirs.close()
        greeting = ours.makefile("rb").read(HEADER.size + len(READY))
        assert greeting == pack(READY)
        if is_parent:
            ours.shutdown(socket.SHUT_RDWR)
        assert worker.wait(timeout=30) == 0

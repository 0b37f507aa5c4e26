"""What can go wrong, as an author sees it."""

from __future__ import annotations

import grpc
import pytest

from llmx import errors
from llmx.v1.refusal_pb2 import Refusal, RefusalCode


def test_a_refusal_says_code_place_reason_and_remedy():
    refusal = Refusal(
        msg_id="m-1",
        code=RefusalCode.REFUSAL_CODE_RATE_EXCEEDED,
        pointer="/payload/value",
        reason="too fast",
        remedy="slow down",
    )
    refusal.retry_after.FromMilliseconds(1500)
    error = errors.refused(refusal)
    assert (error.code, error.pointer, error.retry_after) == (
        "RATE_EXCEEDED",
        "/payload/value",
        1.5,
    )
    assert str(error) == "RATE_EXCEEDED at /payload/value: too fast (slow down)"


def test_a_refusal_that_waiting_does_not_help_has_no_retry_after():
    assert errors.refused(Refusal(code=RefusalCode.REFUSAL_CODE_LATE)).retry_after is None


def test_a_code_of_a_newer_gateway_is_unspecified():
    refusal = Refusal()
    refusal.ParseFromString(b"\x10\xe7\x07")  # code = 999
    assert errors.refused(refusal).code == "UNSPECIFIED"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (grpc.StatusCode.UNAUTHENTICATED, errors.Unauthenticated),
        (grpc.StatusCode.PERMISSION_DENIED, errors.NotAllowed),
        (grpc.StatusCode.ALREADY_EXISTS, errors.Replaced),
        (grpc.StatusCode.INVALID_ARGUMENT, errors.ProtocolError),
    ],
)
def test_some_ends_of_a_stream_are_final(code: grpc.StatusCode, kind: type[Exception]):
    assert isinstance(errors.ending_error(code, "why"), kind)


@pytest.mark.parametrize(
    "code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.OK]
)
def test_other_ends_of_a_stream_are_worth_another_try(code: grpc.StatusCode):
    assert errors.ending_error(code, "") is None


def test_a_lost_negotiation_that_was_never_opened_says_so():
    assert "(not opened)" in str(errors.NegotiationLost("", "gone"))

"""Who may open a stream, and for how long it lives."""

from __future__ import annotations

import base64
import json

import grpc
import pytest

from gateway.tokens import mint_development_token
from llmx.v1.control_service_pb2 import ListAgentsRequest
from llmx.v1.exchange_service_pb2 import Hello
from llmx.v1.refusal_pb2 import RefusalCode
from tests.support.gateways import now
from tests.support.issuer import Issuer, good_claims
from tests.support.raw_agent import Crowd, RawAgent, StreamEndedError

UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED


def unsigned(agent: str) -> str:
    """Return a token that says of itself that nobody signed it."""

    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    claims = good_claims(sub=agent, iat=now(), exp=now() + 600)
    return f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(claims)}."


async def rejected(agent: RawAgent) -> str:
    """Expect that no stream opens; return what was said about it."""
    agent.connect()
    ended = await agent.end()
    assert ended.code is UNAUTHENTICATED
    assert ended.goodbye is None
    return ended.details


async def opens_with_a_good_token(crowd: Crowd, name: str) -> None:
    agent = await crowd.open(name)
    await agent.is_served()


async def test_a_stream_without_a_token_is_told_where_the_token_goes(crowd: Crowd) -> None:
    alice = crowd.agent("alice")
    alice.connect(metadata=())
    ended = await alice.end()
    assert ended.code is UNAUTHENTICATED
    assert "missing" in ended.details
    assert "authorization: Bearer" in ended.details
    await opens_with_a_good_token(crowd, "alice")


async def test_a_token_that_is_not_a_bearer_token_is_none(crowd: Crowd) -> None:
    alice = crowd.agent("alice")
    alice.connect(metadata=(("authorization", f"Basic {alice.token}"),))
    ended = await alice.end()
    assert ended.code is UNAUTHENTICATED
    assert "missing" in ended.details


async def test_an_expired_token_is_told_apart(crowd: Crowd) -> None:
    details = await rejected(crowd.agent("alice", ttl=-1))
    assert details.startswith("expired:")
    assert "new token" in details
    await opens_with_a_good_token(crowd, "alice")


async def test_a_token_for_somebody_elses_service_is_rejected(crowd: Crowd) -> None:
    details = await rejected(crowd.agent("alice", audience="billing"))
    assert details.startswith("wrong_audience:")
    assert "'llmx'" in details
    await opens_with_a_good_token(crowd, "alice")


async def test_a_token_signed_with_another_secret_is_rejected(crowd: Crowd) -> None:
    forged = mint_development_token(b"s" * 32, f"agent://{crowd.name('alice')}")
    details = await rejected(crowd.agent("alice", token=forged))
    assert details.startswith("wrong_key:")
    await opens_with_a_good_token(crowd, "alice")


@pytest.mark.parametrize("key_id", ["ed", "es", "rs"])
async def test_a_token_signed_with_a_key_of_the_issuers_key_set_counts(
    crowd: Crowd, key_id: str
) -> None:
    name = crowd.name("alice")
    times = {"iat": now(), "exp": now() + 60, "jti": crowd.tag}
    token = crowd.gateway.issuer.token(key_id, sub=f"agent://{name}", **times)
    alice = crowd.agent("alice", token=token)
    welcome = await alice.open()
    assert welcome.agent_id == f"agent://{name}"
    assert welcome.token_expires_at.seconds == int(times["exp"])
    await alice.is_served()


@pytest.mark.parametrize("algorithm", ["EdDSA", "ES256"])
async def test_a_token_signed_with_a_key_of_nobodys_is_rejected(
    crowd: Crowd, algorithm: str
) -> None:
    stranger = Issuer()
    stranger.add_key("ed" if algorithm == "EdDSA" else "es", algorithm)
    (key_id,) = stranger.keys
    claims = {"sub": f"agent://{crowd.name('alice')}", "iat": now(), "exp": now() + 60}
    details = await rejected(crowd.agent("alice", token=stranger.token(key_id, **claims)))
    assert details.startswith("wrong_key:")
    await opens_with_a_good_token(crowd, "alice")


async def test_a_token_that_nobody_signed_is_rejected(crowd: Crowd) -> None:
    """`alg: none` is the oldest trick there is."""
    details = await rejected(crowd.agent("alice", token=unsigned(f"agent://{crowd.name('alice')}")))
    assert details.startswith("algorithm:")
    assert "'none'" in details
    await opens_with_a_good_token(crowd, "alice")


async def test_what_is_no_token_at_all_is_rejected(crowd: Crowd) -> None:
    details = await rejected(crowd.agent("alice", token="let-me-in"))
    assert details.startswith("malformed:")


async def test_a_token_that_never_ends_in_practice_opens_a_stream(crowd: Crowd) -> None:
    """Its end lies beyond what a Timestamp can say."""
    alice = crowd.agent("alice", ttl=1e13)
    await alice.open()
    await alice.is_served()


async def test_a_hello_for_another_agent_than_the_tokens_is_denied(crowd: Crowd) -> None:
    alice = crowd.agent("alice")
    alice.connect()
    await alice.write(hello=Hello(agent_id="agent://mallory"))
    ended = await alice.end()
    assert ended.code is grpc.StatusCode.PERMISSION_DENIED
    assert alice.address in ended.details
    assert "agent://mallory" in ended.details
    await opens_with_a_good_token(crowd, "alice")


async def test_a_first_frame_that_is_no_hello_ends_the_stream(crowd: Crowd) -> None:
    alice = crowd.agent("alice")
    alice.connect()
    await alice.send(alice.text("hi", alice.address))
    ended = await alice.end()
    assert ended.code is grpc.StatusCode.INVALID_ARGUMENT
    assert "Hello" in ended.details
    await opens_with_a_good_token(crowd, "alice")


async def test_a_first_frame_that_is_noise_ends_the_stream(crowd: Crowd) -> None:
    alice = crowd.agent("alice")
    alice.connect()
    await alice.write_bytes(b"\xff\xff\xff\xff")
    ended = await alice.end()
    assert ended.code is grpc.StatusCode.INVALID_ARGUMENT
    await opens_with_a_good_token(crowd, "alice")


@pytest.mark.parametrize(
    "hello", [{"topics": ["no topic\n"]}, {"capabilities": [f"c{n}" for n in range(40)]}]
)
async def test_a_hello_that_registers_too_much_says_what_may_be(
    crowd: Crowd, hello: dict[str, list[str]]
) -> None:
    alice = crowd.agent("alice")
    alice.connect()
    await alice.write(hello=Hello(**hello))
    ended = await alice.end()
    assert ended.code is grpc.StatusCode.INVALID_ARGUMENT
    assert "at most" in ended.details
    await opens_with_a_good_token(crowd, "alice")


async def test_a_second_hello_is_refused_and_changes_nothing(crowd: Crowd) -> None:
    alice = await crowd.open("alice", topics=[crowd.topic("a")])
    await alice.write(hello=Hello(topics=[crowd.topic("b")]))
    refusal = await alice.refusal("")
    assert refusal.code == RefusalCode.REFUSAL_CODE_MALFORMED_FRAME
    assert "Hello comes once" in refusal.reason
    await alice.is_served()
    bob = await crowd.open("bob")
    await bob.say("hi", crowd.topic("a"))
    await alice.message()


@pytest.mark.slow
async def test_a_stream_ends_when_its_token_does(crowd: Crowd) -> None:
    alice = await crowd.open("alice", claims={"ttl": 0.3})
    ended = await alice.end()
    assert ended.code is UNAUTHENTICATED
    assert "token_expired" in ended.details
    assert ended.goodbye is not None
    assert ended.goodbye.reason == "token_expired"
    assert "RenewToken" in ended.goodbye.detail
    await opens_with_a_good_token(crowd, "alice")


@pytest.mark.slow
async def test_a_stream_lives_on_with_a_token_that_was_renewed_in_time(crowd: Crowd) -> None:
    """A second agent, whose token is not renewed, shows when the first would have ended."""
    alice = await crowd.open("alice", claims={"ttl": 0.4})
    other = await crowd.open("other", claims={"ttl": 0.5})
    await alice.renew(crowd.gateway.token(alice.name, ttl=60))
    while not alice.renewals:
        await alice.read()
    assert alice.renewals[0].token_expires_at.seconds > now() + 50
    await other.end()
    await alice.is_served()


@pytest.mark.parametrize("fault", ["another agent", "another tenant", "expired", "noise", ""])
async def test_a_renewal_that_is_not_accepted_leaves_the_old_token_in_force(
    crowd: Crowd, fault: str
) -> None:
    alice = await crowd.open("alice")
    gateway, name = crowd.gateway, alice.name
    tokens = {
        "another agent": gateway.token(crowd.name("bob")),
        "another tenant": gateway.token(name, tenant="acme"),
        "expired": gateway.token(name, ttl=-5),
        "noise": "noise",
        "": "",
    }
    await alice.renew(tokens[fault])
    refusal = await alice.refusal("")
    assert refusal.code == RefusalCode.REFUSAL_CODE_TOKEN_REJECTED
    assert refusal.reason and refusal.remedy
    await alice.is_served()


async def test_a_newer_stream_of_the_same_agent_replaces_the_older_one(crowd: Crowd) -> None:
    older = await crowd.open("alice")
    newer = await crowd.open("alice")
    ended = await older.end()
    assert ended.code is grpc.StatusCode.ALREADY_EXISTS
    assert ended.goodbye is not None
    assert ended.goodbye.reason == "replaced"
    await newer.is_served()


async def test_a_newer_stream_gets_what_the_older_one_did_not_acknowledge(crowd: Crowd) -> None:
    bob = await crowd.open("bob")
    older = await crowd.open("alice", topics=[crowd.topic()])
    older.acknowledges = False
    msg_id = await bob.say("hi", crowd.topic())
    await older.arrival(msg_id)
    newer = await crowd.open("alice", topics=[crowd.topic()])
    await newer.arrival(msg_id)
    await newer.is_served()


async def test_calls_to_the_control_service_need_a_token_too(crowd: Crowd) -> None:
    alice = crowd.agent("alice")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await alice.control.ListAgents(ListAgentsRequest())
    assert caught.value.code() is UNAUTHENTICATED


async def test_a_stream_that_hangs_up_before_its_hello_hurts_nobody(crowd: Crowd) -> None:
    alice = crowd.agent("alice")
    alice.connect()
    await alice.call.done_writing()
    with pytest.raises(StreamEndedError):
        await alice.read()
    await opens_with_a_good_token(crowd, "alice")

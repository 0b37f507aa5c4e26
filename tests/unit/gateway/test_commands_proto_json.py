"""Messages as plain values."""

from __future__ import annotations

import json

from gateway.commands.proto_json import plain, word
from llmx.v1.admin_service_pb2 import ListMembersResponse
from llmx.v1.cluster_pb2 import ClusterLink, LinkCondition, NegotiationParty


def test_every_field_is_there_and_large_numbers_are_numbers():
    link = ClusterLink(gateway_id="eu", condition=LinkCondition.LINK_CONDITION_RELAYED, sent=2**60)
    link.round_trip.FromMilliseconds(250)
    link.since.FromSeconds(0)
    told = json.loads(json.dumps(plain(link)))
    assert told.keys() == {field.name for field in link.DESCRIPTOR.fields}
    assert (told["condition"], told["sent"], told["round_trip"]) == ("relayed", 2**60, 0.25)
    assert told["since"] == "1970-01-01T00:00:00Z" and told["relay"] == ""


def test_what_may_be_absent_and_is_is_null():
    assert plain(ClusterLink())["round_trip"] is None
    assert plain(NegotiationParty())["value"] is None
    assert plain(NegotiationParty(value=0))["value"] == 0


def test_messages_in_messages_are_objects():
    told = plain(ListMembersResponse(members=[{"gateway_id": "eu"}]))
    assert told["members"][0]["gateway_id"] == "eu" and told["members"][0]["reach"] == ""


def test_a_word_of_a_newer_gateway_is_unknown():
    kind = LinkCondition.DESCRIPTOR
    assert [word(kind, number) for number in (0, 1, 99)] == ["", "open", "unknown"]

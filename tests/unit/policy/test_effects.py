"""Effects are requests: immutable, comparable, picklable, and told apart."""

from __future__ import annotations

import pickle

import pytest

from policy.effects import Effect, Finish, Refuse, Relay, Tell

EFFECTS: list[Effect] = [
    Relay("agent://a"),
    Tell("agent://a", "reject", "n:1", "m1", {"reason": "late"}),
    Refuse("agent://a", "reject", "n:1", "m1", "x"),
    Finish({"state": "committed"}),
]


@pytest.mark.parametrize("effect", EFFECTS)
def test_an_effect_is_a_value(effect: Effect) -> None:
    assert pickle.loads(pickle.dumps(effect)) == effect
    assert [other for other in EFFECTS if other == effect] == [effect]
    name = type(effect).__match_args__[0]
    with pytest.raises(AttributeError):
        setattr(effect, name, "another")

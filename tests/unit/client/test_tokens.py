"""Where tokens come from."""

from __future__ import annotations

from llmx.tokens import Tokens, renewal_wait


async def test_a_token_comes_from_a_text_a_function_or_a_coroutine():
    async def later() -> str:
        return "three"

    sources = (Tokens("one"), Tokens(lambda: "two"), Tokens(later))
    assert [await tokens.fetch() for tokens in sources] == ["one", "two", "three"]
    assert [tokens.can_renew for tokens in sources] == [False, True, True]


def test_a_token_is_renewed_at_four_fifths_of_its_life():
    assert renewal_wait(100) == 80
    assert renewal_wait(-5) == 0

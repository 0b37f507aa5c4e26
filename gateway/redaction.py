"""Takes sensitive fields out of a payload for those who may not see them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

ANY = "*"
"""Stands in a pointer for every member of an object or every item of an array."""


def redact(value: object, sensitive: Sequence[str], allowed_pointers: Collection[str]) -> object:
    """Return `value` without its sensitive fields; `value` itself stays as it is.

    Members are removed; items of arrays become null, so that the others keep their places. A
    field stays when `allowed_pointers` names it, or something that contains it, or is "*".
    """
    if ANY in allowed_pointers:
        return value
    # Anything else that is no pointer allows nothing.
    allowed = [pointer.split("/")[1:] for pointer in allowed_pointers if pointer[:1] == "/"]
    for pointer in sensitive:
        tokens = pointer.split("/")[1:]
        if not any(_covers(shown, tokens) for shown in allowed):
            value = _without(value, tokens)
    return value


def _covers(allowed: list[str], tokens: list[str]) -> bool:
    return len(allowed) <= len(tokens) and all(
        ours in (ANY, theirs) for ours, theirs in zip(allowed, tokens, strict=False)
    )


def _without(value: object, tokens: list[str]) -> object:
    """Return a copy of `value` without what `tokens` lead to."""
    if not tokens:
        return None
    token, rest = tokens[0], tokens[1:]
    if isinstance(value, dict):
        name = token.replace("~1", "/").replace("~0", "~")
        hit = [key for key in value if token == ANY or key == name]
        if not hit:
            return value
        if not rest:
            return {key: item for key, item in value.items() if key not in hit}
        return value | {key: _without(value[key], rest) for key in hit}
    if isinstance(value, list):
        hits = range(len(value)) if token == ANY else _index(token, len(value))
        return [_without(item, rest) if index in hits else item for index, item in enumerate(value)]
    return value


def _index(token: str, length: int) -> range:
    index = int(token) if token.isascii() and token.isdigit() else length
    return range(index, min(index + 1, length))

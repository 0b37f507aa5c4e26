"""Expressions that rank offers: `value + 5 * conditions.start_in`.

An expression reads the fields of an offer's payload by their paths and yields a number; the
highest wins. It is arithmetic (`+ - * /`), `min`, `max`, `abs`, comparison, `and`, `or`, `not`
and `a if condition else b`; a condition is a number, and true unless it is 0. Nothing else can
be said: no calls, no powers, no text. It is bounded in length and in parts, so that ranking
takes microseconds whatever an initiator writes.

A field that is missing or not a number, a division by zero, and a result that is not finite
yield None: such an offer cannot be ranked.

`UtilityError` is the one error: why the text is not an expression, and what would be.
"""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

LENGTH_MAX = 512
NODES_MAX = 64
_NUMBER_MAX = 10**300

_Fields = Mapping[str, object]
_Term = Callable[[_Fields], float]

# Checked before Python's own parser sees the text: it knows strings, comments, escapes and
# names in any script, and none of them belongs here. Every repeat keeps what it took (`*+`), so
# that a text is read once, not split in each of the ways that it could be.
_TOKENS = re.compile(
    r"(?:\s*+(?:(?:\d++(?:\.\d*+)?+|\.\d++)(?:[eE][+-]?\d++)?+(?![\w.])"
    r"|[A-Za-z_]\w*+(?:\.[A-Za-z_]\w*+)*+|<=|>=|==|!=|[-+*/(),<>]))*+\s*+",
    re.ASCII,
)

_BINARY: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_COMPARE: dict[type[ast.cmpop], Callable[[float, float], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_REMEDY = (
    "use payload paths like value or terms.gpus, numbers, + - * /, comparisons, "
    "and or not, a if c else b, min(), max(), abs()"
)


class UtilityError(ValueError):
    """Tell why a text is not a utility expression, and what would be."""

    def __init__(self, reason: str, remedy: str = _REMEDY) -> None:
        super().__init__(f"{reason}; {remedy}")
        self.reason = reason
        self.remedy = remedy

    def __reduce__(self) -> tuple[type[UtilityError], tuple[str, str]]:
        return type(self), (self.reason, self.remedy)


class Utility:
    """A compiled expression; equal to every other of the same text."""

    __slots__ = ("_term", "text")

    def __init__(self, text: str, term: _Term) -> None:
        self.text = text
        self._term = term

    def __call__(self, fields: Mapping[str, object]) -> float | None:
        """Return the utility of a payload, or None where it has none."""
        try:
            utility = self._term(fields)
        except (_MissingError, ArithmeticError):
            return None
        return utility if math.isfinite(utility) else None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Utility) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __reduce__(self) -> tuple[Callable[[str], Utility], tuple[str]]:
        return compile_utility, (self.text,)

    def __repr__(self) -> str:
        return f"<Utility {self.text}>"


@lru_cache(maxsize=256)
def compile_utility(text: str) -> Utility:
    """Return the expression in `text`, or raise UtilityError."""
    if len(text) > LENGTH_MAX:
        raise UtilityError("the expression is too long", f"use at most {LENGTH_MAX} characters")
    if not _TOKENS.fullmatch(text):
        raise UtilityError("the expression has signs that it may not have")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, RecursionError, MemoryError):
        raise UtilityError("the expression does not parse") from None
    if sum(1 for node in ast.walk(tree) if isinstance(node, ast.expr)) > NODES_MAX:
        raise UtilityError("the expression has too many parts", f"use at most {NODES_MAX}")
    return Utility(text, _compiled(tree))


class _MissingError(Exception):
    """A field that the expression reads is absent or not a number."""


def _compiled(node: ast.expr) -> _Term:
    match node:
        case ast.Constant(int() | float() as number) if not isinstance(number, bool):
            return _constant(number)
        case ast.Name() | ast.Attribute():
            # The tokens leave nothing but names around a dot.
            return _field(tuple(ast.unparse(node).split(".")))
        case ast.UnaryOp(ast.USub(), operand):
            inner = _compiled(operand)
            return lambda fields: -inner(fields)
        case ast.UnaryOp(ast.UAdd(), operand):
            return _compiled(operand)
        case ast.UnaryOp(ast.Not(), operand):
            denied = _compiled(operand)
            return lambda fields: float(not denied(fields))
        case ast.BinOp(left, sign, right) if type(sign) in _BINARY:
            return _binary(_BINARY[type(sign)], _compiled(left), _compiled(right))
        case ast.BoolOp(ast.And(), parts):
            return _all([_compiled(part) for part in parts])
        case ast.BoolOp(_, parts):
            return _any([_compiled(part) for part in parts])
        case ast.Compare(left, signs, others) if all(type(sign) in _COMPARE for sign in signs):
            return _chain(
                [_COMPARE[type(sign)] for sign in signs],
                [_compiled(part) for part in (left, *others)],
            )
        case ast.IfExp(test, body, orelse):
            condition, yes, no = _compiled(test), _compiled(body), _compiled(orelse)
            return lambda fields: yes(fields) if condition(fields) else no(fields)
        case ast.Call(ast.Name("abs"), [argument], []):
            size = _compiled(argument)
            return lambda fields: abs(size(fields))
        case ast.Call(ast.Name("min" | "max" as name), [_, _, *_] as arguments, []):
            return _extreme(
                min if name == "min" else max, [_compiled(argument) for argument in arguments]
            )
        case _:
            raise UtilityError(f"the expression may not use {type(node).__name__}")


def _constant(number: float) -> _Term:
    if not abs(number) <= _NUMBER_MAX:
        raise UtilityError("a number is too large")
    constant = float(number)
    return lambda fields: constant


def _field(path: tuple[str, ...]) -> _Term:
    def read(fields: _Fields) -> float:
        found: object = fields
        for name in path:
            if not isinstance(found, Mapping) or name not in found:
                raise _MissingError
            found = found[name]
        if isinstance(found, bool) or not isinstance(found, int | float):
            raise _MissingError
        return float(found)

    return read


def _binary(apply: Callable[[float, float], float], left: _Term, right: _Term) -> _Term:
    return lambda fields: apply(left(fields), right(fields))


def _all(parts: Sequence[_Term]) -> _Term:
    return lambda fields: float(all(part(fields) for part in parts))


def _any(parts: Sequence[_Term]) -> _Term:
    return lambda fields: float(any(part(fields) for part in parts))


def _chain(signs: Sequence[Callable[[float, float], bool]], parts: Sequence[_Term]) -> _Term:
    def holds(fields: _Fields) -> float:
        values = [part(fields) for part in parts]
        pairs = zip(signs, values, values[1:], strict=False)
        return float(all(sign(left, right) for sign, left, right in pairs))

    return holds


def _extreme(choose: Callable[[list[float]], float], parts: Sequence[_Term]) -> _Term:
    return lambda fields: choose([part(fields) for part in parts])

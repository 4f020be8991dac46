"""Evaluates the conditions of DynamoDB that this project, and what it is compared with, send.

Only attribute_exists, attribute_not_exists, comparisons with a value, AND, OR and brackets.
Anything else raises ValueError, so that no measurement rests on a guess.
"""

import operator
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

Item = Mapping[str, Mapping[str, Any]]
Condition = Callable[[Item, Mapping[str, str], Item], bool]
"""Takes an item, the expression's names and its values."""

_TOKENS = re.compile(r"\s*(?:(<=|>=|[()=<>])|([:#]?\w+))")
_COMPARISONS = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_EXISTENCE = {"attribute_exists": True, "attribute_not_exists": False}


def holds(expression: str, item: Item, names: Mapping[str, str], values: Item) -> bool:
    """Return whether the condition holds for the item, which is empty if there is none."""
    return _parsed(expression)(item, names, values)


@cache
def _parsed(expression: str) -> Condition:
    tokens = _Tokens(expression)
    condition = _either(tokens)
    if tokens.next is not None:
        raise ValueError(f"unexpected {tokens.next!r} in {expression!r}")
    return condition


class _Tokens:
    def __init__(self, expression: str) -> None:
        self._rest = self._split(expression)
        self.next = next(self._rest, None)

    def take(self, expected: str | None = None) -> str:
        token = self.next
        if token is None or (expected is not None and token != expected):
            raise ValueError(f"{token!r} where {expected or 'an operand'} was expected")
        self.next = next(self._rest, None)
        return token

    @staticmethod
    def _split(expression: str) -> Iterator[str]:
        expression = expression.rstrip()
        place = 0
        while place < len(expression):
            match = _TOKENS.match(expression, place)
            if match is None:
                raise ValueError(f"cannot read {expression[place:]!r}")
            yield match[1] or match[2]
            place = match.end()


def _either(tokens: _Tokens) -> Condition:
    parts = [_both(tokens)]
    while tokens.next == "OR":
        tokens.take()
        parts.append(_both(tokens))
    return lambda *arguments: any(part(*arguments) for part in parts)


def _both(tokens: _Tokens) -> Condition:
    parts = [_one(tokens)]
    while tokens.next == "AND":
        tokens.take()
        parts.append(_one(tokens))
    return lambda *arguments: all(part(*arguments) for part in parts)


def _one(tokens: _Tokens) -> Condition:
    token = tokens.take()
    if token == "(":  # noqa: S105 # a bracket
        condition = _either(tokens)
        tokens.take(")")
        return condition
    if token in _EXISTENCE:
        tokens.take("(")
        attribute = tokens.take()
        tokens.take(")")
        wanted = _EXISTENCE[token]
        return lambda item, names, _: (_name(attribute, names) in item) is wanted
    comparison = tokens.take()
    if comparison not in _COMPARISONS:
        raise ValueError(f"{comparison!r} is not a comparison")
    compare = _COMPARISONS[comparison]
    value = tokens.take()
    return lambda item, names, values: _compared(
        compare, item.get(_name(token, names)), values[value]
    )


def _name(attribute: str, names: Mapping[str, str]) -> str:
    return names[attribute] if attribute.startswith("#") else attribute


def _compared(
    compare: Callable[[Any, Any], bool],
    found: Mapping[str, Any] | None,
    wanted: Mapping[str, Any],
) -> bool:
    """Compare two attributes of one type. A missing one fulfils nothing."""
    if found is None:
        return False
    ((kind, one),) = found.items()
    other = wanted[kind]
    # DynamoDB orders strings by their UTF-8 bytes, Python by code points: the same order.
    return compare(int(one), int(other)) if kind == "N" else compare(one, other)

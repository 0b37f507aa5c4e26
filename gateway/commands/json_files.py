"""JSON that a person wrote, read so that a mistake is found where it stands."""

from __future__ import annotations

import difflib
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from gateway.commands.trouble import CommandError

FILE_BYTES_MAX = 4 * 1024 * 1024
STDIN = Path("-")

Policy = str | Mapping[str, Any]
"""The name of a profile, or parameters."""


def read_object(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file, or on standard input for "-". Raises CommandError."""
    name = "standard input" if path == STDIN else str(path)
    try:
        if path == STDIN:
            text = sys.stdin.buffer.read(FILE_BYTES_MAX + 1)
        else:
            with path.open("rb") as file:
                text = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise CommandError(f"{name}: {error.strerror or error}", "name a file of JSON") from None
    if len(text) > FILE_BYTES_MAX:
        raise CommandError(f"{name} has more than {FILE_BYTES_MAX} bytes")
    return parse_object(text, name)


def parse_object(text: str | bytes, name: str) -> dict[str, Any]:
    """Return the JSON object in a text that is known as `name`. Raises CommandError."""
    try:
        value = json.loads(text, object_pairs_hook=_without_repeats, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        where = f"{name}, line {error.lineno}, column {error.colno}"
        raise CommandError(f"{where}: this is no JSON: {error.msg}") from None
    except UnicodeDecodeError:
        raise CommandError(f"{name} is not text in UTF-8") from None
    except RecursionError:
        raise CommandError(f"{name} is nested too deeply") from None
    except ValueError as error:
        raise CommandError(f"{name}: {error}") from None
    if not isinstance(value, dict):
        raise CommandError(f"{name} holds no JSON object", 'write {"…": …}')
    return value


def policy_of(text: str) -> Policy:
    """Return the policy of a command line: a name, or an object of parameters.

    Raises CommandError.
    """
    return parse_object(text, "--policy") if text.lstrip().startswith("{") else text


def check_members(object_: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    """Raise CommandError for a member that is not among `known`, with the nearest that is."""
    names = tuple(known)
    for name in object_:
        if name not in names:
            near = difflib.get_close_matches(name, names, 1)
            meant = f'did you mean "{near[0]}"?' if near else f"there are {', '.join(names)}"
            raise CommandError(f'{where}: there is no "{name}"', meant)


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    seen = dict(pairs)
    if len(seen) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(f'"{repeated}" stands twice in one object')
    return seen


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"JSON has no {word}")

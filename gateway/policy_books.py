"""A tenant's own profiles as a text that is kept: its *book*.

    {"default": "acme/quick",
     "profiles": {"acme/quick": {"revision": 3, "quorum": 3, "window": 2.0, …}},
     "gone": {"acme/slow": 7}}

A profile stands there whole, so that it means the same on every gateway whatever its settings add.
A revision is given once: of a profile that was deleted the last one stays in `gone`. A part that
this release cannot use is passed over when a book is read, and kept when it is changed: another
gateway of the cluster may be newer.

Pure: where books are kept is the business of a shelf.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from policy.acceptance import PROFILES, Acceptance, PolicyError, Quorum, parse, resolve

PROFILES_PER_TENANT_MAX = 256
NAMES_PER_TENANT_MAX = 4 * PROFILES_PER_TENANT_MAX
"""Those of profiles that are gone included."""

SIGNS = frozenset("@* ")
"""What no name has, because labels do: `flow/high*@1`."""

Profiles = Mapping[str, Acceptance]


@dataclass(frozen=True, slots=True)
class Book:
    """What a book says."""

    profiles: Profiles = field(default_factory=dict)
    default: str = ""
    """What calls get that name no profile; "" for what the gateway says."""
    trouble: tuple[str, ...] = ()
    """What could not be used, a sentence each."""


NOTHING = Book()


def book_of(text: bytes | None, shared: Profiles, before: Book = NOTHING) -> Book:
    """Return what a text says. Of a profile that cannot be used the one in `before` stays."""
    if text is None:
        return NOTHING
    try:
        written = _written(text)
    except PolicyError as error:
        return replace(before, trouble=(str(error),))
    profiles: dict[str, Acceptance] = {}
    trouble = []
    for name, fields in written["profiles"].items():
        try:
            profiles[name] = _read(name, fields, shared)
        except PolicyError as error:
            trouble.append(f"{name}: {error}")
            if name in before.profiles:
                profiles[name] = before.profiles[name]
    default = written["default"]
    if default and default not in profiles and default not in shared:
        trouble.append(f"the default {default} is no profile here")
        default = before.default
    return Book(profiles, default, tuple(trouble))


def put(text: bytes | None, shared: Profiles, name: str, fields: Mapping[str, Any]) -> bytes:
    """Return a book in which a profile is added or changed. Raises PolicyError.

    `fields` are as in a call's `policy`; "profile" names the one to start from.
    """
    if not name or not name.isprintable() or not SIGNS.isdisjoint(name):
        remedy = "use 1 to 64 characters without blanks, @ and *, as in acme/quick"
        raise PolicyError("name", "the name is empty, or would be mistaken for a label", remedy)
    written = _written(text)
    profiles, gone = written["profiles"], written["gone"]
    if name not in profiles:
        if len(profiles) >= PROFILES_PER_TENANT_MAX:
            reason = f"a tenant has at most {PROFILES_PER_TENANT_MAX} profiles"
            raise PolicyError("name", reason, "change one that exists")
        if name not in gone and len(profiles) + len(gone) >= NAMES_PER_TENANT_MAX:
            reason = f"a tenant uses at most {NAMES_PER_TENANT_MAX} names"
            raise PolicyError("name", reason, "use one that was used before")
    revisions = [gone.pop(name, 0), profiles.get(name, {}).get("revision", 0)]
    if name in shared:
        revisions.append(shared[name].revision)
    known = {**shared, **book_of(text, shared).profiles}
    made = profile_of(name, fields, known, max(revisions) + 1)
    profiles[name] = {"revision": made.revision, **fields_of(made)}
    return _text(written)


def delete(text: bytes | None, shared: Profiles, name: str) -> bytes:
    """Return a book without a profile. Raises PolicyError.

    One that changed a profile which ships, or which the settings add, uncovers that one.
    """
    written = _written(text)
    if name not in written["profiles"]:
        if name in shared:
            reason = "it ships with the gateway or stands in its settings"
            raise PolicyError("profile", reason, "delete what was set at run time")
        raise PolicyError("profile", "no profile has this name", "list those there are")
    if written["default"] == name and name not in shared:
        reason = "it is what calls get that name none"
        raise PolicyError("profile", reason, "make another one the default first")
    written["gone"][name] = written["profiles"].pop(name).get("revision", 1)
    return _text(written)


def set_default(text: bytes | None, shared: Profiles, name: str) -> bytes:
    """Return a book with another default. Raises PolicyError."""
    resolve(name, {**shared, **book_of(text, shared).profiles})
    return _text(_written(text) | {"default": name})


def profile_of(name: str, fields: Mapping[str, Any], known: Profiles, revision: int) -> Acceptance:
    """Return the profile that `fields` describe. Raises PolicyError."""
    changes = dict(fields)
    base = changes.pop("profile", None)
    start = resolve(base, known) if base is not None else PROFILES["flow/high"]
    made = parse(changes, start, name=name, revision=revision)
    return made if made.name == name else replace(made, name=name)


def fields_of(acceptance: Acceptance) -> dict[str, Any]:
    """Return a profile as plain values that `parse` takes."""
    return {
        "quorum": _plain_quorum(acceptance.quorum),
        "window": acceptance.window,
        "settle": acceptance.settle,
        "counts": acceptance.counts,
        "select": acceptance.select,
        "on_expiry": acceptance.on_expiry,
        "min_offers": acceptance.min_offers,
        "final": acceptance.final,
        "confirm": acceptance.confirm,
        "late": acceptance.late,
    }


def _plain_quorum(quorum: Quorum) -> str | int | float:
    if quorum.all:
        return "all"
    return quorum.fraction or quorum.count


def _read(name: str, fields: object, shared: Profiles) -> Acceptance:
    if not isinstance(fields, dict):
        raise PolicyError(name, "no object of parameters", 'write {"quorum": …}')
    revision = fields.get("revision", 1)
    if isinstance(revision, bool) or not isinstance(revision, int) or revision < 1:
        raise PolicyError("revision", "no count from 1", "use the last revision and one more")
    changes = {key: value for key, value in fields.items() if key != "revision"}
    return profile_of(name, changes, shared, revision)


def _written(text: bytes | None) -> dict[str, Any]:
    """Return what stands in a text, with all its parts. Raises PolicyError."""
    try:
        written = json.loads(text or b"{}")
    except ValueError as error:
        raise PolicyError("profiles", f"no JSON: {error}", "correct or remove the text") from None
    if not isinstance(written, dict):
        raise PolicyError("profiles", "no JSON object", "correct or remove the text")
    written = {"default": "", "profiles": {}, "gone": {}} | written
    for part in ("profiles", "gone"):
        if not isinstance(written[part], dict):
            raise PolicyError(part, "no JSON object", "correct or remove the text")
    return written


def _text(written: Mapping[str, Any]) -> bytes:
    return json.dumps(written, ensure_ascii=False, separators=(",", ":")).encode()

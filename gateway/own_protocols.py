"""Protocols that an operator adds to those that are shipped, each named as `module:NAME`.

The module is found as any Python module is, on PYTHONPATH; NAME is a `policy.protocols.Protocol` in
it. Every gateway of a cluster needs the same ones: any of them may have to go on with a
negotiation of another.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping

from gateway.calls import OPTIONS
from gateway.settings import SettingsError
from policy.protocols import PROTOCOLS, Protocol

SETTING = "engine.protocols"


def protocols_of(names: str | None) -> Mapping[str, Protocol]:
    """Return what is shipped and what `names` adds, by name; names are separated by commas.

    Raises SettingsError.
    """
    protocols = dict(PROTOCOLS)
    for name in filter(None, (names or "").split(",")):
        protocol = _protocol(name.strip())
        if protocol.name in protocols:
            raise _wrong(name, f"there is a protocol {protocol.name} already; choose another name")
        if protocol.property not in ("", OPTIONS):
            raise _wrong(
                name, f'its property is "{protocol.property}"; only "{OPTIONS}" is free in a call'
            )
        protocols[protocol.name] = protocol
    return protocols


def _protocol(name: str) -> Protocol:
    path, _, member = name.partition(":")
    if not path or not member:
        raise _wrong(name, "must be module:NAME, dutch_auction:PROTOCOL for example")
    try:
        found = getattr(importlib.import_module(path), member)
    except ImportError as error:
        raise _wrong(name, f"{error}; put the folder of the module on PYTHONPATH") from error
    except AttributeError as error:
        raise _wrong(name, f"the module has no {member}; name its Protocol") from error
    if not isinstance(found, Protocol):
        raise _wrong(name, f"{member} is no policy.protocols.Protocol; name one that is")
    return found


def _wrong(name: str, reason: str) -> SettingsError:
    return SettingsError(f"{SETTING}={name}: {reason}")

"""The control socket's language, first half: requests, one JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, NoReturn, TypeAlias

from test_coordination.adapters.links.errors import MalformedRequestError
from test_coordination.adapters.links.values import DELAY_MAX, Direction, Latency
from test_coordination.domain.errors import suggestion

REQUEST_BYTES_MAX: Final = 16 * 1024
LEASE_S_MAX: Final = 3600
FAULT_CHARACTERS_MAX: Final = 200
SHOWN_CHARACTERS_MAX: Final = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Add:
    """Put a fault in force, or change it, or renew its lease; it becomes this connection's."""

    link: str
    fault: str
    latency: Latency
    expires_in: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Renew:
    """Count the lease of a fault that this connection holds from now again."""

    link: str
    fault: str
    expires_in: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Remove:
    """End a fault, whoever added it; one that is not there is a success."""

    link: str
    fault: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Describe:
    """Tell every link's state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ping:
    """Show that somebody is there."""


Command: TypeAlias = Add | Renew | Remove | Describe | Ping
Object: TypeAlias = dict[str, Any]
"""A JSON object on its way in or out; it goes no further than this module's callers."""

_FIELDS: Final[Mapping[str, frozenset[str]]] = {
    "add": frozenset(
        {"link", "fault", "latency_ms", "jitter_ms", "direction", "toxicity", "expires_in_s"}
    ),
    "renew": frozenset({"link", "fault", "expires_in_s"}),
    "remove": frozenset({"link", "fault"}),
    "list": frozenset(),
    "ping": frozenset(),
}
_BARE: Final[Mapping[str, Command]] = {"list": Describe(), "ping": Ping()}


def read(line: bytes) -> tuple[int, Object]:
    """Return the id of a request, and the rest of it for `command_of`.

    Raises:
        MalformedRequestError: the line is no request.
    """
    document = _object(line)
    number = document.pop("id", None)
    if not isinstance(number, int) or isinstance(number, bool):
        raise MalformedRequestError(reason=f"'id' is {_shown(number)}, expected a whole number")
    return number, document


def command_of(document: Object) -> Command:
    """Return what a request asks for.

    Raises:
        MalformedRequestError: the verb or a field is unknown, missing or out of range.
        InvalidLatencyError: the latency cannot be.
    """
    verb = document.pop("do", None)
    known = _FIELDS.get(verb) if isinstance(verb, str) else None
    if known is None:
        raise MalformedRequestError(
            reason=f"'do' is {_shown(verb)}, expected one of {', '.join(sorted(_FIELDS))}"
        )
    for name in sorted(document.keys() - known):
        raise MalformedRequestError(
            reason=f"{verb!r} has no field {_shown(name)}; {suggestion(name, known)}"
        )
    if verb in _BARE:
        return _BARE[verb]
    if verb == "remove":
        return Remove(link=_text(document, "link"), fault=_text(document, "fault"))
    link, fault, lease = _text(document, "link"), _text(document, "fault"), _lease(document)
    if verb == "renew":
        return Renew(link=link, fault=fault, expires_in=lease)
    return Add(link=link, fault=fault, latency=latency_of(document), expires_in=lease)


def _no_number(name: str) -> NoReturn:
    raise MalformedRequestError(reason=f"{name} is no JSON")


def _object(line: bytes) -> Object:
    try:
        document = json.loads(line, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise MalformedRequestError(reason=f"the line is no JSON ({error})") from error
    if not isinstance(document, dict):
        raise MalformedRequestError(reason="the line is no JSON object")
    return document


def _text(document: Object, name: str) -> str:
    value = document.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= FAULT_CHARACTERS_MAX:
        raise MalformedRequestError(
            reason=f"{name!r} is {_shown(value)}, expected a text of 1 to {FAULT_CHARACTERS_MAX} "
            "characters"
        )
    return value


def _number(document: Object, name: str, *, most: float) -> float:
    value = document.get(name, 0)
    if (
        not isinstance(value, int | float)
        or isinstance(value, bool)
        or not 0 <= value <= most  # false for NaN, and safe for whole numbers of any length
    ):
        raise MalformedRequestError(
            reason=f"{name!r} is {_shown(value)}, expected a number from 0 to {most:g}"
        )
    return float(value)


def _lease(document: Object) -> timedelta | None:
    if document.get("expires_in_s") is None:
        return None
    lease_s = _number(document, "expires_in_s", most=LEASE_S_MAX)
    if not lease_s:
        raise MalformedRequestError(reason="'expires_in_s' is 0, expected more, or nothing at all")
    return timedelta(seconds=lease_s)


def latency_of(document: Object) -> Latency:
    """Return the latency that `latency_object` showed; all of it but the delay may be left out."""
    way = document.get("direction", Direction.BOTH)
    if not isinstance(way, str) or way not in tuple(Direction):
        raise MalformedRequestError(
            reason=f"'direction' is {_shown(way)}, expected one of {', '.join(Direction)}"
        )
    most_ms = DELAY_MAX / timedelta(milliseconds=1)
    toxicity = _number(document, "toxicity", most=1) if "toxicity" in document else 1.0
    return Latency(
        delay=timedelta(milliseconds=_number(document, "latency_ms", most=most_ms)),
        jitter=timedelta(milliseconds=_number(document, "jitter_ms", most=most_ms)),
        direction=Direction(way),
        toxicity=toxicity,
    )


def latency_object(latency: Latency) -> Object:
    """Return ``latency`` as the fields of an object."""
    return {
        "latency_ms": _milliseconds(latency.delay),
        "jitter_ms": _milliseconds(latency.jitter),
        "direction": latency.direction.value,
        "toxicity": latency.toxicity,
    }


def _milliseconds(value: timedelta) -> float:
    return value / timedelta(milliseconds=1)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN_CHARACTERS_MAX else f"{text[:SHOWN_CHARACTERS_MAX]}…"


def request(number: int, command: Command) -> bytes:
    """Return the line that asks for ``command``."""
    document: Object = {"id": number}
    match command:
        case Add():
            document |= {"do": "add", "link": command.link, "fault": command.fault}
            document |= latency_object(command.latency)
        case Renew():
            document |= {"do": "renew", "link": command.link, "fault": command.fault}
        case Remove():
            document |= {"do": "remove", "link": command.link, "fault": command.fault}
        case Describe():
            document["do"] = "list"
        case Ping():
            document["do"] = "ping"
    if isinstance(command, Add | Renew) and command.expires_in is not None:
        document["expires_in_s"] = command.expires_in.total_seconds()
    return line_of(document)


def line_of(document: Object) -> bytes:
    """Return ``document`` as one line."""
    return json.dumps(document, separators=(",", ":"), allow_nan=False).encode() + b"\n"

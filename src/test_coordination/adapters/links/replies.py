"""The control socket's language, second half: replies, one JSON object a line."""

from __future__ import annotations

from datetime import timedelta

from test_coordination.adapters.links.errors import (
    FaultNotHeldError,
    LinkRefusedError,
    UnknownLinkError,
)
from test_coordination.adapters.links.requests import (
    Add,
    Command,
    Object,
    Remove,
    Renew,
    latency_object,
    latency_of,
)
from test_coordination.adapters.links.values import FaultState, LinkState
from test_coordination.domain.errors import CoordinationError


def failure(number: int | None, error: CoordinationError) -> Object:
    """Return the reply that carries ``error``; ``number`` is None if the id was not readable."""
    facts: Object = {"code": error.code, "text": str(error)}
    if isinstance(error, UnknownLinkError):
        facts["known"] = sorted(error.known)
    return {"id": number, "ok": False, "error": facts}


def failure_of(reply: Object, command: Command) -> CoordinationError:
    """Return the error that ``reply`` to ``command`` carries."""
    facts = reply["error"]
    if isinstance(command, Add | Renew | Remove):
        if facts["code"] == UnknownLinkError.code:
            return UnknownLinkError(link=command.link, known=frozenset(facts["known"]))
        if facts["code"] == FaultNotHeldError.code:
            return FaultNotHeldError(link=command.link, fault=command.fault)
    return LinkRefusedError(reason=facts["text"])


def state_object(state: LinkState) -> Object:
    """Return ``state`` as the reply to ``list`` shows it."""
    return {
        "name": state.name,
        "listen": list(state.listen),
        "upstream": list(state.upstream),
        "connections_open": state.connections_open,
        "connections_total": state.connections_total,
        "connections_refused": state.connections_refused,
        "bytes_up": state.bytes_up,
        "bytes_down": state.bytes_down,
        "bytes_delayed": state.bytes_delayed,
        "faults": [
            {
                "fault": fault.fault,
                **latency_object(fault.latency),
                "connections": fault.connections,
                "bytes_delayed": fault.bytes_delayed,
                "expires_in_s": None
                if fault.expires_in is None
                else fault.expires_in.total_seconds(),
            }
            for fault in state.faults
        ],
    }


def state_of(document: Object) -> LinkState:
    """Return what `state_object` showed."""
    faults = tuple(
        FaultState(
            fault=fault["fault"],
            latency=latency_of(fault),
            connections=fault["connections"],
            bytes_delayed=fault["bytes_delayed"],
            expires_in=None
            if fault["expires_in_s"] is None
            else timedelta(seconds=fault["expires_in_s"]),
        )
        for fault in document["faults"]
    )
    listen, upstream = document["listen"], document["upstream"]
    return LinkState(
        **document
        | {
            "listen": (listen[0], listen[1]),
            "upstream": (upstream[0], upstream[1]),
            "faults": faults,
        }
    )

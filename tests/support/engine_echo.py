"""Adapters that repeat the secret they were given, in all that they answer."""

from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final
from urllib.parse import quote, quote_plus

from support.engine_fakes import Board, DialProbe, Kit, NoteAction, SwitchFault
from test_coordination.application.capabilities import (
    ActionFailedError,
    FaultFailedError,
    Probe,
    ProbeFailedError,
)
from test_coordination.domain.evidence import Facts
from test_coordination.domain.expressions import Kind
from test_coordination.domain.topology import Topology
from test_coordination.domain.values import Receipt, ServiceName

CORE: Final = "c4narYb1rd"
"""A part of the canary that is the same in every way of writing it, but for base64."""

CANARY: Final = f"@{CORE}/\"ö+= \\&<'{CORE}"


def traces(text: str | bytes) -> list[str]:
    """Return what there is of the canary in ``text``, in whatever way it is written."""
    data = text.encode() if isinstance(text, str) else text
    core = CORE.encode()
    whole = [b64encode(b"u" * shift + core).decode() for shift in range(3)]
    encoded = [each[3:-4] for each in whole]
    return [trace for trace in (CORE, *encoded) if trace.encode() in data]


def echo(key: str) -> Facts:
    """Return ``key`` in the ways in which a service may tell it."""
    basic = b"user:" + key.encode()
    return {
        "plain": key,
        "url": f"http://user:{quote(key, safe='')}@host/{quote(key)}?key={quote_plus(key)}",
        "json": json.dumps({"key": key}),
        "repr": repr({"key": key}) + repr(key.encode()),
        "basic": [b64encode(basic).decode(), urlsafe_b64encode(basic).decode()],
        key: {key: [key]},
        "cut": f"{key[: len(key) * 2 // 3]}...",
    }


def kept(key: str) -> Facts:
    """Return ``key`` in the ways in which a fault may need it for its undo."""
    told = echo(key)
    return {each: told[each] for each in ("plain", "url", "json", "basic")}


@dataclass(slots=True)
class Heard:
    """What adapters were given, and by what deed."""

    keys: list[tuple[str, str]] = field(default_factory=list)

    def hear(self, doing: str, key: object) -> str:
        self.keys.append((doing, str(key)))
        return str(key)

    def at(self, doing: str) -> set[str]:
        return {key for done, key in self.keys if done == doing}


class EchoFault(SwitchFault):
    """A fault whose receipt, evidence and errors hold its key; the first undo fails."""

    def __init__(self, board: Board, heard: Heard, kind: str, *, bites: bool = True) -> None:
        super().__init__(board, kind)
        self.heard = heard
        self.bites = bites
        self.failing = 1
        self.odd = False
        """Whether the receipt has the key in a way that nobody could restore."""

    async def arm(
        self, topology: Topology, service: ServiceName, parameters: Mapping[str, object]
    ) -> Receipt:
        key = self.heard.hear("arm", parameters["key"])
        await super().arm(topology, service, parameters)
        more = {"odd": repr(repr(key))} if self.odd else {}
        return Receipt(json.dumps({"service": service, "key": key, "kept": kept(key), **more}))

    async def inject(self, receipt: Receipt) -> Facts:
        key = self.heard.hear("inject", json.loads(receipt)["key"])
        if not self.bites:
            raise self._failed(key, "injecting")
        return echo(key)

    async def revert(self, receipt: Receipt) -> Facts:
        key = self.heard.hear("revert", json.loads(receipt)["key"])
        assert json.loads(receipt)["kept"] == kept(key)
        if self.failing:
            self.failing -= 1
            raise self._failed(key, "reverting")
        return echo(key)

    def _failed(self, key: str, doing: str) -> FaultFailedError:
        return FaultFailedError(fault=self.kind, service="shop", doing=doing, cause=str(echo(key)))


class EchoAction(NoteAction):
    """An action whose result or error holds its key."""

    def __init__(
        self, board: Board, heard: Heard, kind: str = "note", *, repeatable: bool = False
    ) -> None:
        super().__init__(board, kind, repeatable=repeatable)
        self.heard = heard

    async def run(self, topology: Topology, parameters: Mapping[str, object]) -> Facts:
        del topology
        key = self.heard.hear("run", parameters["key"])
        match parameters.get("end"):
            case "fails":
                raise ActionFailedError(action=self.kind, cause=str(echo(key))) from OSError(key)
            case "breaks":
                raise KeyError(key)
            case _:
                return echo(key)


class EchoDial(DialProbe):
    """A dial that shows its key; its second look fails, and its third breaks."""

    fields: Mapping[str, Kind] = {**DialProbe.fields, "said": Kind.STRING}

    def __init__(self, heard: Heard) -> None:
        super().__init__()
        self.heard = heard
        self.key = "none"

    def open(
        self, topology: Topology, parameters: Mapping[str, object], *, timeout: timedelta
    ) -> AbstractAsyncContextManager[Probe]:
        del topology, timeout
        self.key = self.heard.hear("open", parameters["key"])
        return _looking(self.key)

    async def capture(self, topology: Topology, parameters: Mapping[str, object]) -> object:
        del topology
        if parameters.get("dial") == "orders":
            raise ProbeFailedError(cause=str(echo(self.key)))
        return [echo(self.key)]


@asynccontextmanager
async def _looking(key: str) -> AsyncGenerator[Probe]:
    yield _Looking(key)


class _Looking:
    def __init__(self, key: str) -> None:
        self._key = key
        self._looks = 0

    async def read(self) -> Facts:
        self._looks += 1
        match self._looks:
            case 2:
                raise ProbeFailedError(cause=str(echo(self._key))) from OSError(self._key)
            case 3:
                raise ValueError(self._key)
            case _:
                return {"ok": True, "value": 1.0, "said": self._key, "echo": echo(self._key)}


def echoing(heard: Heard) -> Kit:
    """Return a kit all of which repeats what ``heard`` has."""
    board = Board()
    return Kit(
        board=board,
        off=EchoFault(board, heard, "switch.off"),
        slow=EchoFault(board, heard, "switch.slow", bites=False),
        note=EchoAction(board, heard),
        again=EchoAction(board, heard, "note.again", repeatable=True),
        dial=EchoDial(heard),
    )

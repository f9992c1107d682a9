"""How events, plans and observed facts are written as JSON, and read back."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import msgspec

from test_coordination.application.ports import ExecutionRecord, LiveState
from test_coordination.domain.admission import Claim
from test_coordination.domain.errors import CoordinationError
from test_coordination.domain.events import EVENTS, Event
from test_coordination.domain.evidence import Facts
from test_coordination.domain.execution import Execution
from test_coordination.domain.plan import Plan
from test_coordination.domain.scenario import Part
from test_coordination.domain.schedule import TRIGGERS, Rules, Schedule, Trigger
from test_coordination.domain.values import ServiceName


@dataclass(eq=False, kw_only=True)
class UnreadableError(CoordinationError):
    """Something was stored that this version of the program cannot read."""

    code: ClassVar[str] = "store.unreadable"

    kind: str
    cause: str

    def __str__(self) -> str:
        return (
            f"a stored {self.kind} cannot be read ({self.cause}): it was written by a newer "
            "version of this program, or by something else; use the version that wrote it"
        )


def encode(value: object) -> bytes:
    """Return ``value`` as JSON that PostgreSQL can keep.

    What text it cannot keep (NUL, lone surrogates: a service's output may hold anything)
    becomes U+FFFD. A number that is not finite becomes null, a tuple a list; where no type says
    otherwise, a large float without a fraction comes back as the integer of the same digits.
    """
    try:
        body = _ENCODER.encode(value)
    except UnicodeEncodeError:
        return _ENCODER.encode(_clean(msgspec.to_builtins(value, enc_hook=_plain)))
    if _NUL in body:
        return _ENCODER.encode(_clean(msgspec.to_builtins(value, enc_hook=_plain)))
    return body


def encode_all(values: Sequence[object]) -> list[bytes]:
    """Return what `encode` does for each of ``values``, faster."""
    try:
        bodies = list(map(_ENCODER.encode, values))
    except UnicodeEncodeError:
        return list(map(encode, values))
    if _NUL in b"".join(bodies):
        return list(map(encode, values))
    return bodies


def storable(text: str) -> str:
    """Return ``text`` with U+FFFD for each character that PostgreSQL cannot keep."""
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def kind_of(event: Event) -> str:
    """Return the name under which ``event`` is stored."""
    return type(event).__name__


def decode_event(kind: str, body: bytes | memoryview) -> Event:
    """Return the event that `encode` wrote as ``body``.

    Raises:
        UnreadableError: no event has that name, or the body does not fit it.
    """
    decoder = _EVENTS.get(kind)
    if decoder is None:
        raise UnreadableError(kind="event", cause=f"no event is named {kind!r}")
    try:
        return decoder.decode(body)
    except msgspec.MsgspecError as error:
        raise UnreadableError(kind=kind, cause=str(error)) from error


def decode_plan(body: bytes | memoryview) -> Plan:
    """Return the plan that `encode` wrote as ``body``.

    Raises:
        UnreadableError: it is no plan of this version.
    """
    try:
        return _PLAN.decode(body)
    except msgspec.MsgspecError as error:
        raise UnreadableError(kind="plan", cause=str(error)) from error


def decode_facts(body: bytes | memoryview) -> Facts:
    """Return the facts that `encode` wrote as ``body``."""
    return _FACTS.decode(body)


def decode_state(body: bytes | memoryview) -> Mapping[ServiceName, Facts]:
    """Return the services' documents that `encode` wrote as ``body``."""
    return _STATE.decode(body)


def decode_parts(body: bytes | memoryview) -> tuple[Part, ...]:
    """Return the parts of a definition that `encode` wrote as ``body``."""
    return _PARTS.decode(body)


def encode_schedule(schedule: Schedule) -> tuple[str, bytes, bytes]:
    """Return by which word a schedule's trigger is stored, the trigger, and the rules."""
    word = next(word for word, kind in TRIGGERS.items() if kind is type(schedule.trigger))
    return word, encode(schedule.trigger), encode(schedule.rules)


def decode_schedule(word: str, trigger: bytes | memoryview, rules: bytes | memoryview) -> Schedule:
    """Return the schedule that `encode_schedule` wrote.

    Raises:
        UnreadableError: there is no such trigger, or it is no schedule of this version.
    """
    decoder = _TRIGGERS.get(word)
    if decoder is None:
        raise UnreadableError(kind="schedule", cause=f"no trigger is named {word!r}")
    try:
        return Schedule(trigger=decoder.decode(trigger), rules=_RULES.decode(rules))
    except msgspec.MsgspecError as error:
        raise UnreadableError(kind="schedule", cause=str(error)) from error


def decode_claims(body: bytes | memoryview) -> tuple[Claim, ...]:
    """Return the claims that `encode` wrote as ``body``."""
    return _CLAIMS.decode(body)


def live_state(record: ExecutionRecord, state: Execution) -> LiveState:
    """Return what is shown of a running execution; its facts are always the same names."""
    running = [step for step, at in state.steps.items() if at.outcome is None]
    facts = {
        "scenario_version": str(record.scenario_version),
        "requested_by": record.requested_by,
        "requested_at": record.requested_at.isoformat(),
        "started_at": state.started_at.isoformat() if state.started_at else "",
        "ended_at": state.ended_at.isoformat() if state.ended_at else "",
        "worker": str(state.worker or record.worker),
        "verdict": state.verdict or "",
        "reason": state.reason,
        "abort": state.abort.reason if state.abort else "",
        "paused": state.pause.reason if state.pause else "",
        "steps_running": " ".join(running),
        "steps_ended": str(len(state.steps) - len(running)),
        "steps_planned": str(len(record.plan.steps)),
        "faults_outstanding": " ".join(fault.step for fault in state.outstanding),
        "validations": str(len(state.validations)),
    }
    return LiveState(
        execution=record.id,
        scenario=record.scenario_name,
        status=state.status,
        position=state.position,
        facts={name: storable(text) for name, text in facts.items()},
    )


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    message = f"JSON cannot carry {value!r}"
    raise TypeError(message)


def _clean(value: object) -> object:
    match value:
        case str():
            return storable(value)
        case list():
            return [_clean(item) for item in value]
        case dict():
            return {_clean(key): _clean(item) for key, item in value.items()}
        case _:
            return value


_NUL: Final = b"\\u0000"
_UNSTORABLE: Final = re.compile("[\0\ud800-\udfff]")
_ENCODER: Final = msgspec.json.Encoder(enc_hook=_plain)
_EVENTS: Final[dict[str, msgspec.json.Decoder[Event]]] = {
    name: msgspec.json.Decoder(kind) for name, kind in EVENTS.items()
}
_TRIGGERS: Final[dict[str, msgspec.json.Decoder[Trigger]]] = {
    word: msgspec.json.Decoder(kind) for word, kind in TRIGGERS.items()
}
_RULES: Final = msgspec.json.Decoder(Rules)
_PLAN: Final = msgspec.json.Decoder(Plan)
_PARTS: Final = msgspec.json.Decoder(tuple[Part, ...])
_CLAIMS: Final = msgspec.json.Decoder(tuple[Claim, ...])
_FACTS: Final = msgspec.json.Decoder(dict[str, object])
_STATE: Final = msgspec.json.Decoder(dict[ServiceName, dict[str, object]])

"""What Redis should show of one execution, as the commands that make it so."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain
from typing import Final, TypeAlias

from redis.exceptions import ResponseError

from test_coordination.adapters.codec import encode, kind_of, storable
from test_coordination.application.ports import LiveState
from test_coordination.domain.events import Entry
from test_coordination.domain.evidence import Sample
from test_coordination.domain.execution import Status
from test_coordination.domain.values import ExecutionId

TAIL_MAX: Final = 1000
"""How many entries are kept here, to be shown again after Redis has lost them."""
SAMPLES_MAX: Final = 2000
STREAM_MAX: Final = 10_000
RUNNING_TTL: Final = timedelta(minutes=1)
"""How long the state outlives a worker that does not refresh it any more."""
KEEP_EVERY: Final = timedelta(seconds=15)
"""How often it is said anew for how long what is shown is to be kept."""
ENDED_TTL: Final = timedelta(hours=1)

ACTIVE: Final = "test:active-executions"
MILLISECOND: Final = timedelta(milliseconds=1)

Command: TypeAlias = "tuple[str | bytes | int | float, ...]"


def state_key(execution: ExecutionId) -> str:
    """Return where the state is; the braces keep the keys of one execution on one node."""
    return f"test:execution:{{{execution}}}:state"


def events_key(execution: ExecutionId) -> str:
    """Return where the stream of entries is; an entry's id is its position."""
    return f"test:execution:{{{execution}}}:events"


def samples_key(execution: ExecutionId) -> str:
    """Return where the stream of samples is."""
    return f"test:execution:{{{execution}}}:samples"


@dataclass(slots=True, kw_only=True)
class Shown:
    """One execution: its state, and the end of its log.

    ``written`` is the position up to which the stream has been written. When it was last said for
    how long all is to be kept is ``kept_at``: None makes that be said again. ``said`` is what of
    the state was written then and since.
    """

    state: LiveState
    tail: deque[Entry] = field(default_factory=lambda: deque(maxlen=TAIL_MAX))
    samples: deque[Sample] = field(default_factory=lambda: deque(maxlen=SAMPLES_MAX))
    written: int = 0
    changed: bool = True
    kept_at: datetime | None = None
    sampled: bool = False
    said: dict[str, str] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        """Tell whether nothing more is to be expected."""
        return self.state.status is Status.FINISHED

    @property
    def end(self) -> int:
        """Return the position of the last entry that is known here."""
        return self.tail[-1].position if self.tail else self.written

    def is_due(self, now: datetime) -> bool:
        """Tell whether there is something to be written."""
        return self.changed or self._is_to_be_kept(now)

    def _is_to_be_kept(self, now: datetime) -> bool:
        return self.ended or self.kept_at is None or now - self.kept_at >= KEEP_EVERY

    def commands(self, now: datetime) -> Sequence[Command]:
        """Return what makes Redis show all that it lacks; the samples are handed out once.

        What was on its way when a connection broke may have arrived: entries are sent again,
        because Redis refuses those that it has, and samples are not.
        """
        execution = self.state.execution
        events, samples = events_key(execution), samples_key(execution)
        looked_at = list(self.samples)
        self.samples.clear()
        if looked_at and not self.sampled:
            # What there is from now on is to be kept for a time, and not for ever.
            self.sampled, self.kept_at = True, None
        keep = self._is_to_be_kept(now)
        return [
            *self._stating(anew=keep),
            *(
                ("XADD", events, "MAXLEN", "~", STREAM_MAX, f"{e.position}-0", *entry_words(e))
                for e in self.tail
                if e.position > self.written
            ),
            *(
                ("XADD", samples, "MAXLEN", "~", STREAM_MAX, "*", *sample_words(sample))
                for sample in looked_at
            ),
            *(self._keeping(now) if keep else ()),
            ("XLEN", events),
        ]

    def _stating(self, *, anew: bool) -> Sequence[Command]:
        """Return what makes Redis show the state: all of it, or what is new of it."""
        named = state_facts(self.state)
        changed = {
            name: word for name, word in named.items() if anew or self.said.get(name) != word
        }
        self.said = named
        words = chain.from_iterable(changed.items())
        return [("HSET", state_key(self.state.execution), *words)] if changed else []

    def _keeping(self, now: datetime) -> Sequence[Command]:
        """Return what makes Redis keep all for as long as it is of use."""
        self.kept_at = now
        execution = self.state.execution
        state_ttl_s = int((ENDED_TTL if self.ended else RUNNING_TTL).total_seconds())
        stream_ttl_s = int(ENDED_TTL.total_seconds())
        active: Command = ("ZADD", ACTIVE, now.timestamp(), str(execution))
        return [
            ("EXPIRE", state_key(execution), state_ttl_s),
            ("ZREM", ACTIVE, str(execution)) if self.ended else active,
            ("EXPIRE", samples_key(execution), stream_ttl_s),
            ("EXPIRE", events_key(execution), stream_ttl_s),
        ]


def lost(replies: Sequence[object], count: int) -> bool:
    """Tell from the replies whether the stream lacks some of the ``count`` entries of the tail."""
    length = replies[-1]
    return isinstance(length, int) and length < count


def refusal(replies: Sequence[object]) -> ResponseError | None:
    """Return why Redis refused one of the commands.

    An entry that the stream already has is none: an attempt that we believed to have failed, or
    another worker, has written it.
    """
    for reply in replies:
        if isinstance(reply, ResponseError) and "equal or smaller" not in str(reply):
            return reply
    return None


def state_facts(state: LiveState) -> dict[str, str]:
    """Return the state as the fields of a hash."""
    return {
        "scenario": storable(state.scenario),
        "status": state.status.value,
        "position": str(state.position),
        **state.facts,
    }


def state_of(execution: ExecutionId, words: Mapping[str, str]) -> LiveState | None:
    """Return the state that `state_facts` is of; None if something else did."""
    facts = dict(words)
    try:
        return LiveState(
            execution=execution,
            scenario=facts.pop("scenario"),
            status=Status(facts.pop("status")),
            position=int(facts.pop("position")),
            facts=facts,
        )
    except (KeyError, ValueError):
        return None


def entry_words(entry: Entry) -> Command:
    """Return one line of the log as the fields of a stream's entry."""
    body = encode(entry.event)
    return ("at", entry.at.isoformat(), "kind", kind_of(entry.event), "body", body)


def sample_words(sample: Sample) -> Command:
    """Return one sample as the fields of a stream's entry."""
    return (
        *("probe", sample.probe),
        *("at", sample.at.isoformat()),
        *("took_ms", sample.took / MILLISECOND),
        *("fields", encode(sample.fields)),
        *("error", storable(sample.error)),
    )

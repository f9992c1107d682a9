"""The lease of this worker: how long it surely holds what it has, and who finds out after that."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar, Final, NoReturn

import anyio

from test_coordination.application.engine.patience import RETRY_S, STORE_PATIENCE, away
from test_coordination.application.fleet import Machine, Worker, Workers
from test_coordination.application.ports import LogConflictError
from test_coordination.domain.errors import StoreUnavailableError
from test_coordination.domain.values import ExecutionId, WorkerId

LEASE: Final = timedelta(seconds=4)
"""How long the store takes a worker for alive that says nothing."""

MARGIN: Final = timedelta(milliseconds=500)
"""What the worker itself takes off that, for clocks that do not go equally fast."""

BEAT_EVERY: Final = timedelta(seconds=1)
BEAT_LIMIT: Final = timedelta(seconds=2)
"""How long one beat may take, with the question that goes with it, before it counts as lost."""

_ASK_LIMIT: Final = timedelta(seconds=3)
_ASK_LIMIT_AWAY: Final = timedelta(milliseconds=500)
_NEVER: Final = -1


@dataclass(eq=False, kw_only=True)
class LostError(LogConflictError):
    """The lease of this worker had lapsed, and another one has taken the execution since."""

    code: ClassVar[str] = "execution.lost"

    expected: int = 0

    def __str__(self) -> str:
        return (
            f"execution {self.execution} was taken over by another worker while this one was "
            "stopped or cut off from the store; nothing more is done for it here: see with "
            f"`tcoord report {self.execution}` how it ended"
        )


class Lease:
    """Beats for this worker, and knows from its own clock how long it surely holds what it has.

    Nobody takes an execution from a worker whose lease is in force. The worker counts it from
    before each beat was sent, the store from when it arrived, so the worker's own end comes
    first. When it has passed unrenewed, that is a lapse: meanwhile others may have taken
    executions over, and each is asked for once the store hears the next beat.
    """

    def __init__(self, workers: Workers, worker: Worker, machine: Machine) -> None:
        """Begin with a lapse: nothing is sure before the first beat."""
        self.worker = worker
        self._workers = workers
        self._machine = machine
        self._lapses = 1
        self._lapsed = True
        self._sent = self._until = timedelta(0)
        self._revived_at: timedelta | None = None
        self._failed_at: timedelta | None = None
        self._failure: StoreUnavailableError | None = None
        self._asking: list[_Question] = []
        self._asked = anyio.Event()
        self._lapse = anyio.Event()

    @property
    def me(self) -> WorkerId:
        """Return the name of this worker."""
        return self.worker.id

    @property
    def lapses(self) -> int:
        """Return how often the lease was not sure to be in force, the time before it included."""
        self._look()
        return self._lapses

    @property
    def valid(self) -> bool:
        """Tell whether nobody can be taking anything from this worker now."""
        self._look()
        return not self._lapsed

    @property
    def steady(self) -> bool:
        """Tell whether the lease has been in force for so long that others had their chance.

        Who finds the store back after it was away for all must not take the others for dead:
        they are only about to say that they live.
        """
        if self._revived_at is None:
            return self.valid
        return self.valid and self._machine.uptime() - self._revived_at >= LEASE

    @property
    def failure(self) -> StoreUnavailableError | None:
        """Return why the store did not hear the last beat; None if it did."""
        return self._failure

    @property
    def away(self) -> bool:
        """Tell whether the store was asked just now, and did not answer in time."""
        if self._failed_at is None:
            return False
        return self._machine.uptime() - self._failed_at <= BEAT_EVERY + BEAT_LIMIT

    def hold(self, execution: ExecutionId, *, epoch: int) -> Hold:
        """Return the hold of an execution that this worker was given under ``epoch``.

        Ask for it before the execution is created or claimed, so that no lapse is missed.
        """
        return Hold(self, execution, epoch)

    async def beat(self) -> None:
        """Renew the lease, and find out about every hold that is in doubt.

        Raises:
            StoreUnavailableError: the store did not answer within ``BEAT_LIMIT``.
        """
        asking, self._asking, self._asked = self._asking, [], anyio.Event()
        self._sent = sent = self._machine.uptime()
        try:
            with anyio.move_on_after(BEAT_LIMIT.total_seconds()) as limit:
                await self._workers.beat(self.worker, lease=LEASE)
                self._renewed(sent)
                await self._answer(asking)
            if limit.cancelled_caught:
                raise away("renewing a worker's lease", BEAT_LIMIT)
            self._failed_at = self._failure = None
        except StoreUnavailableError as error:
            self._failure = error
            now = self._machine.uptime()
            # One that took much longer than it may was stopped meanwhile: it shows nothing.
            self._failed_at = now if now - sent <= BEAT_LIMIT + MARGIN else None
            raise
        finally:
            for question in asking:
                question.over.set()

    async def keep(self) -> None:
        """Beat until cancelled, also after the store was away, and sooner when somebody asks."""
        while True:
            due = self._sent + BEAT_EVERY - self._machine.uptime()
            with anyio.move_on_after(max(0.0, due.total_seconds())):
                await self._asked.wait()
            with suppress(StoreUnavailableError):
                await self.beat()
            await anyio.sleep(RETRY_S)

    async def find_out(self, hold: Hold, *, urgent: bool) -> None:
        """Return after the next beat, which asks for ``hold`` if it reaches the store."""
        question = _Question(hold=hold, over=anyio.Event())
        self._asking.append(question)
        if urgent:
            self._asked.set()
        await question.over.wait()

    async def next_lapse(self) -> None:
        """Return when the lease has lapsed once more."""
        await self._lapse.wait()

    def _look(self) -> None:
        """Count the lapse that may have begun since somebody looked last."""
        if not self._lapsed and self._machine.uptime() >= self._until:
            self._lapsed = True
            self._lapses += 1
            past, self._lapse = self._lapse, anyio.Event()
            past.set()

    def _renewed(self, sent: timedelta) -> None:
        """Count the lease anew from when the beat that was heard had not been sent yet."""
        self._look()
        again = self._until > timedelta(0)
        self._until = sent + LEASE - MARGIN
        now = self._machine.uptime()
        if self._lapsed and now < self._until:
            self._lapsed = False
            self._revived_at = now if again else None

    async def _answer(self, asking: list[_Question]) -> None:
        """Tell each hold in doubt what the store says of it, after it has heard a beat.

        In this order nothing is missed: what was taken before the beat is seen, and nothing can
        be taken after it while the lease is in force.
        """
        if not asking:
            return
        lapses = self.lapses if self.valid else _NEVER
        holds = sorted({question.hold for question in asking}, key=lambda hold: hold.epoch)
        # Of one that was lost and taken again the newest hold counts; the older ones are over.
        epochs = {hold.execution: hold.epoch for hold in holds}
        held = await self._workers.held(epochs)
        for hold in holds:
            mine = hold.execution in held and hold.epoch == epochs[hold.execution]
            hold.told(mine=mine, lapses=lapses)


class Hold:
    """One execution in the hands of this worker: whether anything may still be done for it."""

    def __init__(self, lease: Lease, execution: ExecutionId, epoch: int) -> None:
        self.execution = execution
        self.epoch = epoch
        self._lease = lease
        self._sure_of = lease.lapses if lease.valid else _NEVER
        self._lost = False

    @property
    def lapses(self) -> int:
        """Return how often the lease has lapsed; see `Lease.lapses`."""
        return self._lease.lapses

    @property
    def certain(self) -> bool:
        """Tell whether nobody else can have the execution, without asking anybody."""
        return self._lease.valid and self._sure_of == self._lease.lapses

    def told(self, *, mine: bool, lapses: int) -> None:
        """Take what the store said while the lease was in force, after so many lapses."""
        self._lost = self._lost or not mine
        self._sure_of = lapses

    async def sure(self) -> int:
        """Return the number of lapses once nobody else can have the execution.

        Ask right before anything is done to a target. What begins then and finds the same number
        of lapses at its end was done while the execution was ours.

        Raises:
            LostError: another worker has it; nothing may be done any more.
            StoreUnavailableError: the store was away for longer than ``STORE_PATIENCE``.
        """
        self._refuse_if_lost()
        with anyio.move_on_after(STORE_PATIENCE.total_seconds()):
            while not self.certain:
                await self._find_out(urgent=True)
            return self._sure_of
        doing = f"looking whether execution {self.execution} is still this worker's"
        raise away(doing, STORE_PATIENCE, self._lease.failure)

    async def unless_lost(self) -> None:
        """Return unless it is known, or can be found out soon, that another worker has it.

        This is for what must be done rather twice than never, as an undo: while nobody can be
        asked, nobody else may be there to do it.

        Raises:
            LostError: another worker has the execution, and does what is left to be done.
        """
        self._refuse_if_lost()
        if not self.certain:
            limit = _ASK_LIMIT_AWAY if self._lease.away else _ASK_LIMIT
            with anyio.move_on_after(limit.total_seconds()):
                await self._find_out(urgent=True)

    async def until_lost(self) -> NoReturn:
        """Wait for as long as the execution is not known to be another worker's.

        Raises:
            LostError: it is.
        """
        while True:
            while self.certain:
                await self._lease.next_lapse()
            await self._find_out(urgent=False)

    async def _find_out(self, *, urgent: bool) -> None:
        await self._lease.find_out(self, urgent=urgent)
        self._refuse_if_lost()

    def _refuse_if_lost(self) -> None:
        if self._lost:
            raise LostError(execution=self.execution)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """A hold in doubt, and the end of the beat that asks for it."""

    hold: Hold
    over: anyio.Event

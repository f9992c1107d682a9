"""Services that are plain processes of this machine: started as daemons, found again by a file."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Final
from urllib.parse import quote

import anyio
from anyio import to_thread

from test_coordination.adapters import kernel
from test_coordination.adapters.targets.health import LOOK_MAX, trouble
from test_coordination.adapters.targets.launch import launch, log_end, recovered
from test_coordination.adapters.targets.record import Record, locked, read
from test_coordination.adapters.targets.session import SETTLE_MAX, Session
from test_coordination.application.capabilities import (
    Handle,
    ServiceState,
    ServiceStatus,
    TargetFailedError,
    TargetGoneError,
)
from test_coordination.domain.topology import Topology
from test_coordination.domain.values import ServiceName

HEALTH_POLL_S: Final = 0.05
FROZEN_LOOK_MAX: Final = timedelta(milliseconds=100)


def folder_of(topology: Topology) -> Path:
    """Return where the state files and the logs of a topology's services lie."""
    return Path(topology.directory).absolute() / "services"


class ProcessServices:
    """A ``ServiceControl`` for daemons; a handle is the path of a service's state file.

    A service runs while the process that was launched lives; all its processes are those of the
    session which that process leads. Every change is made under the lock of the state file.
    """

    def __init__(self) -> None:
        self._started: list[Record] = []
        self._ended: dict[str, tuple[str, int]] = {}

    def locate(self, topology: Topology, service: ServiceName) -> Handle:
        """See ``ServiceControl.locate``."""
        return str(folder_of(topology) / f"{quote(service, safe='')}.json")

    async def observe(self, handle: Handle) -> ServiceState:
        """See ``ServiceControl.observe``."""
        record = read(Path(handle))
        if record is None:
            return ServiceState(status=ServiceStatus.STOPPED, detail="it was never started here")
        return await self._state(record)

    async def start(self, handle: Handle) -> ServiceState:
        """See ``ServiceControl.start``; a service that runs already has its whole time again."""
        path = Path(handle)
        _refuse_undeclared(path)
        async with locked(path):
            record = await self._current(path)
            assert record is not None, "a state file is never removed by us"
            if not self._lives(record):
                await self._clear_away(record)
                # Others may have ended what we have started: a child that nobody asks for stays
                # in the kernel's table for as long as we live.
                self._started = [each for each in self._started if self._lives(each)]
                record = await to_thread.run_sync(launch, path, record)
                self._started.append(record)
        return await self._healthy(record)

    async def stop(self, handle: Handle, *, grace: timedelta) -> None:
        """See ``ServiceControl.stop``."""
        await self._end(Path(handle), grace=grace)

    async def kill(self, handle: Handle) -> None:
        """See ``ServiceControl.kill``."""
        await self._end(Path(handle), grace=None)

    async def pause(self, handle: Handle) -> None:
        """See ``ServiceControl.pause``."""
        path = Path(handle)
        if read(path) is None:
            raise TargetGoneError(service=path.stem, detail="it was never started here")
        async with locked(path):
            record = await self._current(path)
            if record is None or record.launch is None or not self._lives(record):
                raise TargetGoneError(service=path.stem, detail="there is nothing to pause")
            if not await Session(record.launch).pause():
                raise _unmoved(record, "being paused", "some of its processes still run")

    async def resume(self, handle: Handle) -> None:
        """See ``ServiceControl.resume``."""
        path = Path(handle)
        if read(path) is None:
            return
        async with locked(path):
            record = await self._current(path)
            if record is None or record.launch is None:
                return
            if not await Session(record.launch).resume():
                raise _unmoved(record, "being resumed", "some of its processes still stand still")

    async def _end(self, path: Path, *, grace: timedelta | None) -> None:
        if read(path) is None:
            return
        async with locked(path):
            record = await self._current(path)
            if record is None or record.launch is None:
                return
            session = Session(record.launch)
            if grace is not None:
                await session.terminate(record.specification.stop_signal, grace)
            if not await session.kill():
                raise _unmoved(record, "being stopped", "some of its processes are still there")
            self._lives(record)

    async def _current(self, path: Path) -> Record | None:
        record = read(path)
        return record and await to_thread.run_sync(recovered, path, record)

    async def _clear_away(self, record: Record) -> None:
        if record.launch is not None and not await Session(record.launch).kill():
            raise _unmoved(record, "being started", "processes of its last run are still there")

    def _lives(self, record: Record) -> bool:
        if record.launch is None or (leader := Session(record.launch).leader()) is None:
            return False
        if (status := kernel.reap(leader)) is not None:
            self._ended[record.specification.log] = (record.launch.mark, status)
        return leader.alive

    async def _state(self, record: Record) -> ServiceState:
        check, launched = record.specification.health, record.launch
        if launched is None or not self._lives(record):
            # Whether the address answers is asked all the same: somebody else may sit there.
            answers = check.kind != "alive" and not await trouble(check)
            return ServiceState(
                status=ServiceStatus.STOPPED,
                healthy=answers,
                detail="another program answers" if answers else self._end_of(record),
            )
        paused = await to_thread.run_sync(_is_paused, Session(launched))
        if paused and check.kind != "http":
            # The kernel accepts connections for a process that stands still: they prove nothing.
            why = "it is paused"
        else:
            why = await trouble(check, limit=FROZEN_LOOK_MAX if paused else LOOK_MAX)
        return ServiceState(
            status=ServiceStatus.PAUSED if paused else ServiceStatus.RUNNING,
            pid=launched.pid,
            born=launched.born,
            healthy=not why,
            started_at=launched.started_at,
            detail=why,
        )

    def _end_of(self, record: Record) -> str:
        if record.launch is None:
            return "it was not started yet"
        if record.launch.pid is None:
            return "it is being started"
        mark, status = self._ended.get(record.specification.log, ("", 0))
        if mark != record.launch.mark:
            return "its process has ended"
        return f"it was killed by signal {-status}" if status < 0 else f"it ended with {status}"

    async def _healthy(self, record: Record) -> ServiceState:
        timeout = record.specification.health.timeout
        state = ServiceState(status=ServiceStatus.STOPPED)
        with anyio.move_on_after(timeout.total_seconds()):
            while True:
                state = await self._state(record)
                if state.status is ServiceStatus.STOPPED:
                    raise _failed(record, f"{self._end_of(record)}; {log_end(record)}")
                if state.status is ServiceStatus.PAUSED:
                    raise _failed(record, "its processes are paused; resume or stop it first")
                if state.healthy:
                    return state
                await anyio.sleep(HEALTH_POLL_S)
        within = f"it was not healthy within {timeout.total_seconds():g} s"
        raise _failed(record, f"{within} ({state.detail}); {log_end(record)}")


def _is_paused(session: Session) -> bool:
    # Looking through all processes takes milliseconds; the first one tells most of the time.
    leader = session.leader()
    if leader is None or not leader.paused:
        return False
    return all(process.paused for process in session.members())


def _refuse_undeclared(path: Path) -> None:
    if read(path) is None:
        cause = f"there is no state file {str(path)!r}: bring the whole system up once"
        raise TargetFailedError(service=path.stem, doing="starting", cause=cause)


def _failed(record: Record, cause: str) -> TargetFailedError:
    return TargetFailedError(service=record.specification.name, doing="starting", cause=cause)


def _unmoved(record: Record, doing: str, what: str) -> TargetFailedError:
    return TargetFailedError(
        service=record.specification.name,
        doing=doing,
        cause=f"{what} after {SETTLE_MAX.total_seconds():g} s",
    )

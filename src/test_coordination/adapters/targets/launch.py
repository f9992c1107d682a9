"""Launching a service as a daemon of its own, which does not end with us."""

from __future__ import annotations

import os
import socket
import subprocess
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import psutil

from test_coordination.adapters import kernel
from test_coordination.adapters.targets.record import Launch, Record, Specification, write
from test_coordination.application.capabilities import TargetFailedError

MARK: Final = "TCOORD_LAUNCH"
QUOTED_LINES: Final = 10
QUOTED_BYTES: Final = 2000


def launch(path: Path, record: Record) -> Record:
    """Start the process that ``record`` specifies and return the record of it, as it is stored.

    It is stored before and after, so that a starter that dies in between leaves a mark by which
    the process can be found.

    Raises:
        TargetFailedError: a port of it is taken, or its program cannot be run.
    """
    specification = record.specification
    _refuse_taken_ports(specification)
    begun = Launch(
        mark=uuid.uuid4().hex, digest=specification.digest(), log_from=_size(specification.log)
    )
    write(path, record.model_copy(update={"launch": begun}))
    try:
        pid = _spawn(specification, begun.mark)
    except OSError as error:
        cause = f"{error.strerror}: {error.filename or specification.command[0]}"
        raise _failed(specification, cause) from error
    done = _identified(begun, pid)
    record = record.model_copy(update={"launch": done})
    write(path, record)
    return record


def recovered(path: Path, record: Record) -> Record:
    """Return ``record`` with the process of a launch whose starter died half-way, if there is one.

    Only who holds the lock may call it.
    """
    begun = record.launch
    if begun is None or begun.pid is not None:
        return record
    for process in kernel.everyone():
        leads = process.alive and process.pid == process.session
        if leads and kernel.carries(process.pid, MARK, begun.mark):
            record = record.model_copy(update={"launch": _identified(begun, process.pid)})
            write(path, record)
    return record


def _identified(begun: Launch, pid: int) -> Launch:
    process = kernel.look(pid)
    try:
        started_at = datetime.fromtimestamp(psutil.Process(pid).create_time(), tz=UTC)
    except psutil.Error:
        started_at = None
    born = process.born if process else ""
    return begun.model_copy(update={"pid": pid, "born": born, "started_at": started_at})


def _spawn(specification: Specification, mark: str) -> int:
    log = os.open(specification.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        child = subprocess.Popen(  # noqa: S603 - the topology says what to run, as a list
            specification.command,
            cwd=specification.directory,
            env=specification.environment | {MARK: mark},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    finally:
        os.close(log)
    # It may outlive us: without this, the object would complain when it is collected.
    child.returncode = 0
    return child.pid


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0


def log_end(record: Record) -> str:
    """Return the last lines that the launched process wrote, made ready to end a sentence."""
    begins = record.launch.log_from if record.launch else 0
    try:
        with Path(record.specification.log).open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(begins if begins <= end else 0, end - QUOTED_BYTES))
            text = file.read(QUOTED_BYTES).decode(errors="replace")
    except OSError:
        text = ""
    lines = text.strip().splitlines()[-QUOTED_LINES:]
    if not lines:
        return f"its log {record.specification.log!r} is empty"
    return "its log ends with:\n" + "\n".join(f"  | {line}" for line in lines)


def _failed(specification: Specification, cause: str) -> TargetFailedError:
    return TargetFailedError(service=specification.name, doing="starting", cause=cause)


def _refuse_taken_ports(specification: Specification) -> None:
    for name, (host, port) in specification.ports.items():
        try:
            family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
            with socket.socket(family) as trial:
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                trial.bind((host, port))
        except OSError as error:
            cause = (
                f"port {port} ({name!r}) on {host} cannot be taken ({error.strerror}){_owner(port)}"
            )
            raise _failed(specification, cause) from error


def _owner(port: int) -> str:
    try:
        taken = [
            at
            for at in psutil.net_connections(kind="tcp")
            if at.status == psutil.CONN_LISTEN and at.laddr and at.laddr[1] == port and at.pid
        ]
        owners = {f"process {at.pid} ({psutil.Process(at.pid).name()})" for at in taken}
    except psutil.Error:
        owners = set()
    return f"; {' and '.join(sorted(owners))} holds it, end it first" if owners else ""

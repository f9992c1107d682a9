"""Functions of Python called in a process of their own, which is ended when it must be."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import ClassVar, Final

import anyio
from anyio.abc import Process

from test_coordination.adapters.environment import environment
from test_coordination.adapters.isolation.words import Said, why
from test_coordination.domain.errors import CoordinationError, suggestion

SCRIPT: Final = Path(__file__).with_name("contained.py")
CHILDREN_MAX: Final = 16
"""How many calls go on at once in this program; who comes then waits for a place."""
START_S_MAX: Final = 20.0
"""How long a process may take to begin, on a machine that has much to do."""
GRACE_S: Final = 2.0
"""How long the guard may take to end all that was begun; then it is ended itself."""
EVERYTHING: Final = "*"

_OURS: Final = "TCOORD_"
_SAID_BYTES_MAX: Final = 1024 * 1024


@dataclass(eq=False, kw_only=True)
class CallFailedError(CoordinationError):
    """A function could not be called, did not return, or returned what cannot be recorded."""

    code: ClassVar[str] = "python.call_failed"

    call: str
    cause: str

    def __str__(self) -> str:
        return f"{self.call} {self.cause}"


@dataclass(eq=False, kw_only=True)
class CallUnknownError(CallFailedError):
    """A function was ended before it said how it ended: it may have done its deed or not."""

    code: ClassVar[str] = "python.call_unknown"

    def __str__(self) -> str:
        return f"{self.call} {self.cause}; whether it took effect is not known"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What is called, as ``package.module:function``, and what it may use.

    ``timeout`` counts from when the process has begun; processor time has the same limit.
    ``memory_bytes`` limits the address space, to which libraries and stacks of threads belong.
    """

    call: str
    arguments: Mapping[str, object] = field(default_factory=dict)
    timeout: timedelta
    memory_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """The packages and modules of which functions may be called; ``*`` stands for all.

    None is where nothing is called, and the operator's wish is not known.
    """

    packages: tuple[str, ...] | None = None

    @property
    def named(self) -> tuple[str, ...]:
        """Return those that are allowed as the operator names them."""
        return (EVERYTHING,) if self.packages is None else self.packages

    def problem(self, call: str) -> str:
        """Return why ``call`` may not be called, or nothing if it may."""
        if self.packages is None or EVERYTHING in self.packages:
            return ""
        module = call.partition(":")[0]
        if any(module == one or module.startswith(f"{one}.") for one in self.packages):
            return ""
        hint = suggestion(module, self.packages) if self.packages else "for no package may be"
        return (
            f"{module!r} may not be called here, {hint}; whoever runs the coordinator names the "
            f"packages that may be in TCOORD_ALLOWED_PYTHON, such as {module.partition('.')[0]}"
        )


class PythonCalls:
    """Calls functions, a process each.

    The process has the variables of any other program and those of ``visible``, the modules that
    we find, ``/`` as its folder, and nothing else of ours. It ends with the call, and all that it
    has begun ends with it; it ends as well when the call is cancelled or when we die.
    """

    def __init__(
        self, allowance: Allowance | None = None, *, visible: Mapping[str, str] | None = None
    ) -> None:
        self.allowance = allowance or Allowance()
        others = {k: v for k, v in (visible or {}).items() if not k.startswith(_OURS)}
        self._environment = {**environment(), **others}
        self._places = anyio.CapacityLimiter(CHILDREN_MAX)

    async def call(self, call: Call) -> object:
        """Return what the function returns, as JSON carries it; what is awaitable is awaited.

        Raises:
            CallFailedError: it may not be called, raised, or returned what is no JSON or is too
                large.
            CallUnknownError: it was ended before it returned or raised.
        """
        if problem := self.allowance.problem(call.call):
            raise CallFailedError(call=call.call, cause=f"was not called: {problem}")
        order = _order(call)
        async with self._places:
            said = await self._said(order, limit_s=call.timeout.total_seconds())
        if cause := why(said, timeout=call.timeout, memory_bytes=call.memory_bytes):
            kind = CallUnknownError if said.unheard else CallFailedError
            raise kind(call=call.call, cause=cause)
        return said.value

    async def _said(self, order: bytes, *, limit_s: float) -> Said:
        with anyio.move_on_after(START_S_MAX + limit_s + GRACE_S):
            async with self._contained() as process:
                return await _exchange(process, order)
        return Said.nothing()

    @asynccontextmanager
    async def _contained(self) -> AsyncGenerator[Process]:
        process = await anyio.open_process(
            [sys.executable, "-I", "-X", "utf8", str(SCRIPT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env=self._environment,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            with anyio.CancelScope(shield=True):
                await _end(process)


async def _exchange(process: Process, order: bytes) -> Said:
    """Send ``order`` and return what is said; the guard reads on to see that we are there."""
    assert process.stdin is not None, "it is a pipe"
    assert process.stdout is not None, "it is a pipe"
    body = bytearray()
    with suppress(anyio.BrokenResourceError, anyio.EndOfStream):
        await process.stdin.send(order)
        while len(body) <= _SAID_BYTES_MAX:
            body += await process.stdout.receive()
    return Said.read(bytes(body))


async def _end(process: Process) -> None:
    """See the guard off: without us behind its standard input it ends all that it has begun."""
    with anyio.move_on_after(GRACE_S):
        if process.stdin is not None:
            await process.stdin.aclose()
        await process.wait()
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    with anyio.move_on_after(GRACE_S):
        await process.aclose()


def _order(call: Call) -> bytes:
    module, _, function = call.call.partition(":")
    try:
        body = json.dumps(
            {
                "path": _path(sys.path),
                "module": module,
                "function": function,
                "arguments": call.arguments,
                "timeout_s": call.timeout.total_seconds(),
                "memory_bytes": call.memory_bytes,
            },
            allow_nan=False,
        )
    except (TypeError, ValueError, RecursionError) as error:
        cause = f"was not called: JSON cannot carry its arguments ({error})"
        raise CallFailedError(call=call.call, cause=cause) from error
    return body.encode() + b"\n"


def _path(entries: Sequence[str]) -> list[str]:
    """Return where we find modules, spelled so that it means the same in another folder."""
    return [str(Path(entry).absolute()) for entry in entries]

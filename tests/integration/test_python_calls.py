"""Functions of Python in a process of their own: what comes of them, and that nothing is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import anyio
import pytest

from test_coordination.adapters import kernel
from test_coordination.adapters.isolation.calls import (
    Allowance,
    Call,
    CallFailedError,
    PythonCalls,
)
from test_coordination.adapters.isolation.health import missing, start_time

pytestmark = pytest.mark.anyio
MIB = 1024**2
CALLS = PythonCalls()
COORDINATOR = """
import anyio
from datetime import timedelta
from test_coordination.adapters.isolation.calls import Call, PythonCalls
call = Call(call="support.python_victims:hide", arguments={{"note": {note!r}}},
            timeout=timedelta(minutes=5), memory_bytes=512 * 1024**2)
anyio.run(PythonCalls().call, call)
"""


def of(function: str, *, seconds: float = 20, memory_mib: int = 512, **arguments: object) -> Call:
    return Call(
        call=f"support.python_victims:{function}",
        arguments=arguments,
        timeout=timedelta(seconds=seconds),
        memory_bytes=memory_mib * MIB,
    )


async def called(function: str, **words: object) -> object:
    return await CALLS.call(of(function, **words))  # type: ignore[arg-type]  # those of `of`


async def refused(function: str, **words: object) -> str:
    with pytest.raises(CallFailedError) as found:
        await called(function, **words)
    return str(found.value).removeprefix(f"support.python_victims:{function} ")


async def begun(note: Path) -> list[int]:
    """Return the processes that ``note`` names, once it does."""
    with anyio.fail_after(20):
        while not note.exists() or not note.read_text():  # noqa: ASYNC110  another process's
            await anyio.sleep(0.01)
    return list(map(int, note.read_text().split()))


async def gone(pids: list[int]) -> bool:
    """Tell whether all of them end within a moment."""
    with anyio.move_on_after(5):
        while any((found := kernel.look(pid)) is not None and found.alive for pid in pids):  # noqa: ASYNC110  others' processes
            await anyio.sleep(0.01)
        return True
    return False


@pytest.mark.parametrize(
    ("function", "arguments", "value"),
    [
        ("add", {"a": 2}, {"sum": 3}),
        ("echo", {"value": {"lots": [2.5, None]}}, {"lots": [2.5, None]}),
        ("echo", {"value": "größe\n"}, "größe\n"),
        ("later", {"value": 5}, 5),
        ("Orders.lost", {}, 7),
        ("folder", {}, "/"),
    ],
)  # fmt: skip
async def test_what_a_function_returns_comes_back(
    function: str, arguments: Mapping[str, object], value: object
) -> None:
    assert await called(function, **arguments) == value


async def test_an_exception_is_told_with_its_type_its_cause_and_where_it_came_from() -> None:
    told = await refused("cancel", order=7)

    assert told.startswith("raised ValueError: no order 7 (at ")
    assert "python_victims.py:" in told
    assert "in cancel" in told
    assert "contained.py" not in told
    assert "because of KeyError: 7" in told
    assert told.endswith("it printed: looking for the order")


@pytest.mark.parametrize(
    ("function", "arguments", "expected"),
    [
        ("echo", {"valve": 1}, "raised TypeError: echo() got an unexpected keyword"),
        ("nothing", {}, "raised AttributeError: module 'support.python_victims' has no attribute"),
        ("devour", {}, "raised MemoryError (it may use 512MiB; 'memory' gives it more)"),
        ("open_many", {}, "raised OSError: [Errno 9] Bad file descriptor"),
        ("leave", {"status": 3}, "raised SystemExit: 3"),
        ("vanish", {"status": 4}, "ended its process with status 4 instead of returning; whether"),
        ("crash", {}, "was ended by SIGABRT; whether it took effect is not known"),
        ("strange", {}, "returned what JSON cannot carry (set: Object of type set is not"),
    ],
)  # fmt: skip
async def test_what_goes_wrong_is_told(
    function: str, arguments: Mapping[str, object], expected: str
) -> None:
    assert (await refused(function, **arguments)).startswith(expected)


async def test_a_value_that_is_too_large_or_no_number_is_not_recorded() -> None:
    assert "more than 64KiB of JSON" in await refused("echo", value="x" * 70_000)
    assert "JSON cannot carry its arguments" in await refused("echo", value=float("nan"))


async def test_a_module_that_is_not_there_is_named() -> None:
    call = Call(call="no_such.module:f", timeout=timedelta(seconds=20), memory_bytes=512 * MIB)

    with pytest.raises(CallFailedError, match="raised ModuleNotFoundError: No module named"):
        await CALLS.call(call)


async def test_at_its_timeout_all_that_it_began_is_ended_wherever_it_hides(tmp_path: Path) -> None:
    note = tmp_path / "note"

    told = await refused("hide", seconds=1, note=str(note))

    assert told.startswith("did not return within 1s and was ended; whether it took effect is")
    assert await gone(await begun(note))


async def test_what_it_left_running_when_it_returned_is_ended_too(tmp_path: Path) -> None:
    note = tmp_path / "note"

    assert await called("begin", note=str(note)) == "begun"

    assert await gone(await begun(note))


async def test_a_call_that_is_cancelled_ends_all_that_it_began(tmp_path: Path) -> None:
    note = tmp_path / "note"

    async with anyio.create_task_group() as group:
        group.start_soon(CALLS.call, of("hide", seconds=600, note=str(note)))
        pids = await begun(note)
        began = anyio.current_time()
        group.cancel_scope.cancel()

    assert anyio.current_time() - began < 5
    assert await gone(pids)


async def test_it_all_ends_when_the_coordinator_is_killed(tmp_path: Path) -> None:
    note = tmp_path / "note"
    coordinator = subprocess.Popen(
        [sys.executable, "-c", COORDINATOR.format(note=str(note))],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    pids = await begun(note)

    coordinator.send_signal(signal.SIGKILL)
    coordinator.wait()

    assert await gone(pids)


async def test_who_kills_the_process_that_watches_it_dies_with_it(tmp_path: Path) -> None:
    note = tmp_path / "note"

    told = await refused("kill_guard", note=str(note))

    assert await gone(await begun(note))
    assert told.startswith("did not begin, or its process was ended by something else")


async def test_of_a_flood_of_words_the_end_is_told() -> None:
    told = await refused("shout", seconds=0.5)

    assert "was ended" in told
    assert len(told) < 600


async def test_it_knows_no_variable_that_it_need_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TCOORD_POSTGRES_URL", "AWS_SECRET_ACCESS_KEY", "REGION", "PYTHONSTARTUP"):
        monkeypatch.setenv(name, "of ours")
    calls = PythonCalls(visible={"REGION": "north", "TCOORD_HOME": "of ours"})

    found = await calls.call(of("variables"))

    assert isinstance(found, dict)
    assert found["REGION"] == "north"
    assert found["PATH"] == os.environ["PATH"]
    assert "of ours" not in found.values()
    assert not [name for name in found if name.startswith("TCOORD_")]


async def test_its_processor_time_is_limited_like_its_time() -> None:
    assert await called("processor_s", seconds=20) == [21, 22]


async def test_only_what_the_operator_allows_is_called(tmp_path: Path) -> None:
    note = tmp_path / "note"
    calls = PythonCalls(Allowance(packages=("support.python_victim", "shop_checks")))

    with pytest.raises(CallFailedError) as told:
        await calls.call(of("begin", note=str(note)))

    assert "'support.python_victims' may not be called here, did you mean" in str(told.value)
    assert "TCOORD_ALLOWED_PYTHON" in str(told.value)
    assert not note.exists()


async def test_the_doctor_finds_what_is_missing_and_how_long_a_call_takes() -> None:
    assert missing(("support.python_victims", "no_such.package", "*")) == ["no_such.package"]
    assert timedelta(0) < await start_time() < timedelta(seconds=10)


@pytest.mark.parametrize("packages", [("support",), ("support.python_victims",), ("*",), None])
def test_a_package_is_allowed_with_all_that_is_in_it(packages: tuple[str, ...] | None) -> None:
    allowance = Allowance(packages=packages)

    assert allowance.problem("support.python_victims:add") == ""
    assert bool(allowance.problem("supporters:add")) == (packages not in {("*",), None})

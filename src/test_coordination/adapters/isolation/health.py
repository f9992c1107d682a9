"""What `tcoord doctor` tells of functions that may be called: whether they can be."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from importlib.util import find_spec
from typing import Final

import anyio

from test_coordination.adapters.isolation.calls import EVERYTHING, Call, PythonCalls

_PROOF: Final = Call(
    call="os:getpid", timeout=timedelta(seconds=20), memory_bytes=512 * 1024 * 1024
)


def missing(packages: Sequence[str]) -> Sequence[str]:
    """Return those packages and modules that cannot be found; none of them is imported."""
    tops = {name: name.partition(".")[0] for name in packages if name != EVERYTHING}
    return [name for name, top in tops.items() if find_spec(top) is None]


async def start_time() -> timedelta:
    """Return how long a call takes that does nothing.

    Raises:
        CallFailedError: no function can be called on this machine.
    """
    began = anyio.current_time()
    await PythonCalls().call(_PROOF)
    return timedelta(seconds=anyio.current_time() - began)

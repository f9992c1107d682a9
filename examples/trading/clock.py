"""The wall clock of the example, in seconds since the epoch."""

from __future__ import annotations

import time


def now() -> float:
    """Return the seconds since the epoch; every service runs on the same host's clock."""
    return time.time()  # noqa: TID251  this is the one place where the example asks for the time

"""Fixtures that every level of test shares."""

from __future__ import annotations

import signal

import pytest

from support.stores_servers import embedded, empty_database, least_privilege, servers

__all__ = ["embedded", "empty_database", "least_privilege", "servers"]


# Whoever runs us in the background, or by nohup, has these signals ignored, and so would all that
# we start: but a terminal's user is what the tests play.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"

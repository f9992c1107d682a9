"""Fixtures that every level of test shares."""

from __future__ import annotations

import pytest

from support.stores_servers import embedded, empty_database, least_privilege, servers

__all__ = ["embedded", "empty_database", "least_privilege", "servers"]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"

"""A database to be queried, and one reading of a probe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from support.stores_servers import Urls
from support.target_systems import MARK, system
from test_coordination.application.capabilities import ProbeKind
from test_coordination.domain.topology import Store, Topology

SOON = timedelta(seconds=5)


@pytest.fixture
async def audited(embedded: Urls, tmp_path: Path) -> Topology:
    store = Store(name="auditor-db", mark=MARK, url=embedded.postgres)
    return replace(system(tmp_path), stores={store.name: store})


async def read(kind: ProbeKind, topology: Topology, **parameters: object) -> Mapping[str, object]:
    async with kind.open(topology, parameters, timeout=SOON) as probe:
        return await probe.read()

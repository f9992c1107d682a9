"""Reverts a fault from a process of its own: arguments are the fault's kind and its receipt."""

from __future__ import annotations

import sys

import anyio

from support.target_faults import fault_of
from test_coordination.adapters.links.keeper import LinkKeeper
from test_coordination.domain.values import Receipt


async def main(kind: str, receipt: str) -> None:
    async with LinkKeeper().opened() as links:
        print(await fault_of(kind, links).revert(Receipt(receipt)))


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], sys.argv[2])

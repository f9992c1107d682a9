"""A coordinator to be killed: adds one fault, says so, and hangs on to it.

Arguments: control socket, link, fault id, milliseconds of latency, seconds of lease (0: none).
"""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path

import anyio

from test_coordination.adapters.links.client import LinkControl


async def main(*arguments: str) -> None:
    control, link, fault = arguments[:3]
    latency_ms, lease_s = map(float, arguments[3:])
    async with LinkControl(Path(control)) as links:
        await links.add_latency(
            link,
            fault,
            delay=timedelta(milliseconds=latency_ms),
            lease=timedelta(seconds=lease_s) if lease_s else None,
        )
        print("added", flush=True)
        await anyio.sleep_forever()


if __name__ == "__main__":
    anyio.run(main, *sys.argv[1:])

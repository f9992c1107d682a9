"""A program that uses the servers of a directory until it is told to leave; tests run and kill it.

Usage: servers_program.py embedded|postgres|valkey DIRECTORY
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import signal
import sys
from pathlib import Path

import anyio

from test_coordination.adapters.servers.embedded import embedded_servers
from test_coordination.adapters.servers.foreground import exec_postgres, exec_valkey
from test_coordination.domain.errors import CoordinationError


async def embedded(directory: Path) -> None:
    """Print the servers' URLs, then wait for SIGTERM."""
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    async with embedded_servers(directory) as urls:
        print(json.dumps(dataclasses.asdict(urls)), flush=True)
        await told.wait()


def main() -> None:
    kind, directory = sys.argv[1], Path(sys.argv[2])
    try:
        match kind:
            case "embedded":
                anyio.run(embedded, directory)
            case "postgres":
                exec_postgres(directory)
            case "valkey":
                exec_valkey(directory)
            case _:
                sys.exit(__doc__)
    except CoordinationError as error:
        sys.exit(f"{error.code}: {error}")


if __name__ == "__main__":
    main()

"""``python -m test_coordination.adapters.links``: carry links until told to stop."""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import anyio

from test_coordination.adapters.links.errors import InvalidLinkError
from test_coordination.adapters.links.server import serve_links
from test_coordination.adapters.links.values import Address, LinkSpec, LinkState
from test_coordination.domain.errors import CoordinationError

EXIT_ERROR: Final = 4
LOOPBACK: Final = "127.0.0.1"
_FORM: Final = "NAME=[HOST:]PORT=[HOST:]PORT"


def link_of(text: str) -> LinkSpec:
    """Return the link that ``name=listen=upstream`` describes; a host left out is 127.0.0.1.

    Raises:
        InvalidLinkError: the text has another form, or the link cannot be.
    """
    name, *sides = text.split("=")
    if len(sides) != 2:  # noqa: PLR2004 - listen and upstream
        raise InvalidLinkError(link=text, reason=f"expected {_FORM}")
    listen, upstream = (_address(side, link=name) for side in sides)
    return LinkSpec(name=name, listen=listen, upstream=upstream)


def _address(text: str, *, link: str) -> Address:
    host, _, port = text.rpartition(":")
    if not port.isascii() or not port.isdigit():
        raise InvalidLinkError(
            link=link, reason=f"{text!r} is no address, expected [HOST:]PORT, as in 127.0.0.1:8084"
        )
    return host.removeprefix("[").removesuffix("]") or LOOPBACK, int(port)


class _Announcement:
    """Says on standard output that every link is open."""

    def started(self, value: Sequence[LinkState] | None = None) -> None:
        for link in value or ():
            (host, port), (up_host, up_port) = link.listen, link.upstream
            sys.stdout.write(f"{link.name}: {host}:{port} -> {up_host}:{up_port}\n")
        sys.stdout.flush()


async def _serve(links: Sequence[LinkSpec], *, control: Path, chance: random.Random) -> None:
    loop = asyncio.get_running_loop()
    with anyio.CancelScope() as scope:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, scope.cancel)
        await serve_links(links, control=control, chance=chance, task_status=_Announcement())


def main(arguments: Sequence[str] | None = None) -> None:
    """Carry links until SIGTERM or SIGINT; print a line for each once all of them are open.

    Exits with 0 when told to stop, 2 on bad usage, and 4 if a link or the control socket
    cannot be opened; the line on standard error then says why.
    """
    parser = argparse.ArgumentParser(
        prog="python -m test_coordination.adapters.links", description=__doc__
    )
    parser.add_argument("--control", type=Path, required=True, help="path of the control socket")
    parser.add_argument("--link", action="append", required=True, metavar=_FORM, dest="links")
    parser.add_argument("--seed", type=int, help="make jitter and toxicity repeatable")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    chance = random.Random(options.seed)  # noqa: S311 - a game of chance, not of secrets
    try:
        links = [link_of(text) for text in options.links]
        asyncio.run(_serve(links, control=options.control, chance=chance))
    except CoordinationError as error:
        sys.stderr.write(f"error: {error} [{error.code}]\n")
        raise SystemExit(EXIT_ERROR) from error


if __name__ == "__main__":
    main()

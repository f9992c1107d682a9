"""A folder in which somebody writes definitions, with a system that never has to run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.e2e_terminal import TCOORD, Running, Said, Terminal, terminal

TOPOLOGY = """\
topology: shop
services:
  shop: {command: [sleep, 1h], tags: {tier: core}, criticality: high}
  till: {command: [sleep, 1h], tags: {tier: core}}
  desk: {command: [sleep, 1h]}
pools: {network: 3}
"""
TEMPLATE = """\
template: gone
version: 1
title: A service is gone
parameters:
  service: {type: service, abstract: true, description: the service that is gone}
  outage: {type: duration, default: 5s, min: 1s, max: 1m, description: for how long}
probes:
  seen: {process: "${{ parameters.service }}", every: 500ms}
steps:
  - id: break
    title: It is gone
    fault: service.stop
    target: "${{ parameters.service }}"
    hold: "${{ parameters.outage }}"
  - id: back
    expect: probes.seen.last.healthy
    within: 20s
    hold: 2s
    after_fault: break
timeout: 5m
"""
SCENARIO = """\
scenario: shop-gone
version: 1
extends: gone
title: The shop is gone
owner: retail
tags: [stop]
parameters: {service: shop}
steps:
  - {id: rest, after: back, wait: {between: [1s, 3s]}}
"""
SUITE = """\
suite: all-gone
version: 1
title: One after the other
scenarios:
  - id: first
    scenario: shop-gone
    matrix: {outage: [2s, 4s]}
    with: {outage: "${{ matrix.outage }}"}
  - {id: then, scenario: shop-gone, needs: [first]}
"""
BAD = """\
scenario: bad
version: 1
steps:
  - {id: one, fault: service.puase, target: shop, hold: 1s}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """Somebody who types in a folder with definitions; nothing runs."""

    terminal: Terminal

    @property
    def folder(self) -> Path:
        return self.terminal.work

    @property
    def topology(self) -> Path:
        return self.folder.parent / "shop.yaml"

    def writes(self, name: str, text: str) -> Path:
        """Write a file and return where it is, as seen from the folder."""
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return Path(name)

    def types(self, *words: object, typed: str | None = None) -> Said:
        """Carry a command out; ``typed`` is what it finds on standard input."""
        return self.starts(*words, typed=typed).ends()

    def starts(self, *words: object, typed: str | None = None) -> Running:
        """Start a command."""
        if typed is None:
            return self.terminal.start(*words)
        self.writes(".typed", typed)
        return self.terminal.start(*words, program=("sh", "-c", 'exec "$@" <.typed', "sh", *TCOORD))

    def plans(self, *words: object) -> Said:
        """Plan on the system."""
        return self.types("plan", *words, "--topology", self.topology)


@contextmanager
def author() -> Iterator[Author]:
    """Lend a folder with a template, a scenario that extends it, and a suite of it."""
    with terminal() as lent:
        opened = Author(terminal=lent)
        opened.topology.write_text(TOPOLOGY)
        opened.writes("gone.yaml", TEMPLATE)
        opened.writes("shop-gone.yaml", SCENARIO)
        opened.writes("all-gone.yaml", SUITE)
        yield opened

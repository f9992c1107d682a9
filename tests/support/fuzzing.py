"""The way of any text from document to plan, and what must be true of it, whatever the text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from support.decoding import trading
from test_coordination.adapters.documents.definitions import DefinitionReader
from test_coordination.adapters.expressions.cel import CelExpressions
from test_coordination.adapters.links.keeper import LinkKeeper
from test_coordination.adapters.targets.process import ProcessServices
from test_coordination.application.definitions import Shelf
from test_coordination.application.planning.lint import lint
from test_coordination.application.planning.resolver import Resolver
from test_coordination.domain.errors import CoordinationError, InvalidDocumentError, Problem
from test_coordination.domain.scenario import Part, Scenario
from test_coordination.kinds import catalogue

MAIN = "main.yaml"
_LINE_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What came of a text: the codes of what was refused, or none where it was planned."""

    codes: tuple[str, ...] = ()


class Way:
    """Reads, composes, decodes, plans and lints; whatever breaks a promise is an AssertionError.

    Errors of ours are results; any other is let through, for it is a mistake of the program.
    """

    def __init__(self) -> None:
        expressions, known = CelExpressions(), catalogue(LinkKeeper(), ProcessServices())
        self._topology = trading()
        self._reader = DefinitionReader(known, expressions, environment=["HOME"])
        self._resolver = Resolver(
            catalogue=known,
            expressions=expressions,
            topology=self._topology,
            environment={"HOME": "/nowhere"},
        )

    def go(self, text: str | bytes, library: Mapping[str, str] | None = None) -> Told:
        """Take ``text`` as far as it goes; ``library`` has other documents by their names."""
        shelf = Shelf(
            parts=tuple(
                Part(name=name, file=f"{name}.yaml", text=other)
                for name, other in (library or {}).items()
            )
        )
        sources = {part.file: part.text for part in shelf.parts} | {MAIN: _decoded(text)}
        try:
            found = self._reader.read(text, file=MAIN, library=shelf, topology=self._topology)
            self._check_resolved(text, shelf)
        except InvalidDocumentError as error:
            check_places(error.problems, sources)
            return Told(codes=tuple(problem.code for problem in error.problems))
        except CoordinationError as error:
            return Told(codes=(error.code,))
        return self._plan(found) if isinstance(found, Scenario) else Told()

    def _check_resolved(self, text: str | bytes, shelf: Shelf) -> None:
        once = self._reader.resolved(text, file=MAIN, library=shelf)
        again = self._reader.resolved(once, file=MAIN)
        assert again == once

    def _plan(self, scenario: Scenario) -> Told:
        try:
            plan = self._resolver.plan(scenario, {}, seed=1)
        except InvalidDocumentError as error:
            return Told(codes=tuple(problem.code for problem in error.problems))
        again = self._resolver.plan(replace(scenario), {}, seed=1)
        assert again == plan
        assert again.digest == plan.digest
        for problem in lint(scenario, plan, topology=self._topology):
            assert problem.code.startswith("strict.")
        return Told()


def check_places(problems: tuple[Problem, ...], sources: Mapping[str, str]) -> None:
    """Make sure that each problem stands somewhere in the texts that were given."""
    assert problems
    for problem in problems:
        mark = problem.mark
        assert mark.file in sources, problem
        lines = _LINE_BREAK.split(sources[mark.file])
        assert 1 <= mark.line <= len(lines), problem
        assert 1 <= mark.column <= len(lines[mark.line - 1]) + 1, problem
        assert problem.text, problem


def _decoded(text: str | bytes) -> str:
    decoded = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return decoded.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}")

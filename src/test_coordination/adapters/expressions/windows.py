"""Windows of a probe's samples: ``probes.latency.during("restart").p95_ms``.

CEL knows no such thing. Before it sees the expression, each window becomes a name of the same
length, so that places in complaints stay right; only the windows that occur are declared.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Final

from test_coordination.adapters.expressions.refusals import Refusal, RefusedError
from test_coordination.adapters.expressions.tokens import Sort, Token, tokens
from test_coordination.domain.errors import suggestion
from test_coordination.domain.expressions import Kind, Names
from test_coordination.domain.names import word

WINDOWS: Final[Mapping[str, str]] = {
    "after": "from the step's end",
    "before": "up to the step's start",
    "during": "from the step's start to its end; of a fault, while it was in force",
}
"""Each window that may be taken of a probe, and what it holds."""

_LITERAL: Final = re.compile(r"'([^'\\]*)'|\"([^\"\\]*)\"")
_ROOTED: Final = 2
_ENDS: Final = frozenset(")]}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Windowed:
    """An expression as CEL is given it.

    ``canonical`` has, for the name of each window in CEL, the name that it goes by elsewhere,
    such as ``probes.latency.during(restart).p95_ms``; ``kinds`` what stands behind it.
    """

    text: str
    canonical: Mapping[str, str]
    kinds: Mapping[str, Kind]

    def named(self, path: str) -> str:
        """Return ``path`` as it goes elsewhere: the name of a window, perhaps with fields of it."""
        for name, named in self.canonical.items():
            if f"{path}.".startswith(f"{name}."):
                return named + path[len(name) :]
        return path


def replace_windows(text: str, names: Names) -> Windowed:
    """Return ``text`` with a name in the place of each window.

    Raises:
        RefusedError: a window is written wrongly, or is not one of a probe, step and figure.
    """
    return _Rewriting(text=text, names=names, found=tokens(text)).done()


@dataclass(slots=True, kw_only=True)
class _Rewriting:
    """One expression on its way to CEL."""

    text: str
    names: Names
    found: Sequence[Token]
    words: dict[tuple[str, str], str] = field(default_factory=dict)

    def done(self) -> Windowed:
        text = self.text
        canonical: dict[str, str] = {}
        kinds: dict[str, Kind] = {}
        for place in self._windows():
            probe = self._probe(place)
            window, step = self.found[place].text, self._step(place)
            figure = self._figure(place, probe)
            short = self._word(window, step)
            name = f"probes.{probe}.{short}.{figure}"
            canonical[name] = f"probes.{probe}.{window}({word(step)}).{figure}"
            kinds[name] = self.names[f"probes.{probe}.{figure}"]
            start, end = self.found[place].start, self.found[place + 3].end
            blanks = re.sub(r"[^\n]", " ", text[start + len(short) : end])
            text = text[:start] + short + blanks + text[end:]
        return Windowed(text=text, canonical=canonical, kinds=kinds)

    def _windows(self) -> Iterator[int]:
        """Yield where the word of each window stands, or of what must have been meant as one."""
        for place, token in enumerate(self.found[:-1]):
            if token.sort is not Sort.WORD or self.found[place + 1].text != "(":
                continue
            path = self._path(place)
            if path[:1] == ["probes"] and len(path) == _ROOTED:
                if "probes" not in self.names and ".".join(path) not in self.names:
                    yield place
            elif token.text in WINDOWS:
                raise self._mistake(place, _of_no_probe(path, token.text))

    def _path(self, place: int) -> list[str]:
        """Return the dotted words in front of the word at ``place``, if nothing else is there."""
        path: list[str] = []
        while place >= _ROOTED and self.found[place - 1].text == ".":
            place -= 2
            if self.found[place].sort is not Sort.WORD:
                is_value = self.found[place].text in _ENDS or self.found[place].sort is Sort.TEXT
                return [] if is_value else path
            path.insert(0, self.found[place].text.strip("`"))
        return path

    def _probe(self, place: int) -> str:
        probe, window = self.found[place - 2].text.strip("`"), self.found[place].text
        if not self._known_figure(place, probe) and not self._below(probe, ""):
            known = {name.split(".")[1] for name in self.names if name.startswith("probes.")}
            text = f"no probe is named {probe!r}; {suggestion(probe, frozenset(known))}"
            raise self._mistake(place - 2, text)
        if window in WINDOWS:
            return probe
        if self._below(probe, window):
            text = f"{window!r} is a figure, not a function; write probes.{probe}.{window}"
        else:
            text = f"no window is named {window!r}; {suggestion(window, frozenset(WINDOWS))}"
        raise self._mistake(place, text)

    def _step(self, place: int) -> str:
        window = self.found[place].text
        inside, closing = (self._at(place + ahead) for ahead in (2, 3))
        literal = _LITERAL.fullmatch(inside)
        if literal is None or closing != ")":
            text = f"{window!r} takes the id of one step, in quotes, such as {window}('restart')"
            at = place + 3 if literal and closing else place + 2 if inside else place
            raise self._mistake(at, text, code="expression.syntax")
        step = literal[1] or literal[2] or ""
        if f"steps.{word(step)}.outcome" not in self.names:
            ids = frozenset(filter(None, map(_step_id, self.names)))
            raise self._mistake(place + 2, f"no step has the id {step!r}; {suggestion(step, ids)}")
        return step

    def _figure(self, place: int, probe: str) -> str:
        if figure := self._known_figure(place, probe):
            return figure
        parts, window = self._parts(place), self.found[place].text
        if not parts:
            figures = _some(self._below(probe, ""))
            text = f"{window!r} selects samples; a figure of them has to follow: {figures}"
            raise self._mistake(place, text)
        if below := self._below(probe, parts[0]):
            text = f"{parts[0]!r} is a group of values; name one of them: {_some(below)}"
        else:
            said = suggestion(".".join(parts), self._below(probe, ""))
            text = f"the probe {probe!r} has no figure {'.'.join(parts)!r}; {said}"
        raise self._mistake(place + 5, text)

    def _parts(self, place: int) -> list[str]:
        """Return what is asked of the window at ``place``, field of field."""
        parts: list[str] = []
        at = place + 4
        while self._at(at) == "." and at + 1 < len(self.found):
            parts.append(self.found[at + 1].text.strip("`"))
            at += 2
        return parts

    def _known_figure(self, place: int, probe: str) -> str:
        """Return the longest figure of ``probe`` that is asked of the window; empty if none is."""
        parts = self._parts(place)
        figures = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
        return next((each for each in figures if f"probes.{probe}.{each}" in self.names), "")

    def _below(self, probe: str, part: str) -> frozenset[str]:
        """Return the figures of ``probe`` that are ``part`` or below it; all if it is empty."""
        start = f"probes.{probe}."
        figures = (name[len(start) :] for name in self.names if name.startswith(start))
        return frozenset(
            figure for figure in figures if not part or f"{figure}.".startswith(f"{part}.")
        )

    def _word(self, window: str, step: str) -> str:
        """Return a word for CEL, shorter than any window's, that the text does not have."""
        key = (window, word(step))
        if key not in self.words:
            taken = {token.text for token in self.found} | set(self.words.values())
            self.words[key] = next(
                short for number in count() if (short := f"w{number}") not in taken
            )
        return self.words[key]

    def _at(self, place: int) -> str:
        return self.found[place].text if place < len(self.found) else ""

    def _mistake(
        self, place: int, text: str, code: str = "expression.unknown_name"
    ) -> RefusedError:
        return RefusedError(Refusal.at(self.found[place].start, self.text, code=code, text=text))


def _of_no_probe(path: Sequence[str], window: str) -> str:
    usage = f"write probes.NAME.{window}('step').FIGURE"
    if path[:1] == ["probes"] and len(path) > _ROOTED:
        figure = ".".join(path[_ROOTED:])
        return f"the window comes before the figure: probes.{path[1]}.{window}('step').{figure}"
    what = f"{'.'.join(path)!r} is no probe" if path else "what stands before is no probe"
    return f"{window!r} takes a window of a probe's samples, but {what}; {usage}"


def _step_id(name: str) -> str | None:
    """Return the id of the step whose outcome ``name`` stands for, as an author writes it."""
    if not name.startswith("steps.") or not name.endswith(".outcome"):
        return None
    return name.removeprefix("steps.").removesuffix(".outcome").replace("_", "-")


def _some(names: frozenset[str]) -> str:
    return ", ".join(sorted(names)[:12])

"""The one way in: a report and the name of a format make a file's bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from test_coordination.adapters.rendering.json import render_json
from test_coordination.adapters.rendering.junit import render_junit
from test_coordination.adapters.rendering.markdown import render_markdown
from test_coordination.domain.errors import CoordinationError, suggestion
from test_coordination.domain.report import TestReport


def _render_html(report: TestReport) -> bytes:
    from test_coordination.adapters.rendering.html import render_html  # noqa: PLC0415  its library is slow to import, and of no use to most commands

    return render_html(report)


_RENDERERS: Final[Mapping[str, Callable[[TestReport], bytes]]] = {
    "html": _render_html,
    "json": render_json,
    "junit": render_junit,
    "markdown": render_markdown,
}
FORMATS: Final = tuple(_RENDERERS)


@dataclass(eq=False, kw_only=True)
class UnknownFormatError(CoordinationError):
    """A report is asked for in a format that nobody writes."""

    code: ClassVar[str] = "report.unknown_format"

    name: str

    def __str__(self) -> str:
        return f"no report format is named {self.name!r}; {suggestion(self.name, FORMATS)}"


def render(report: TestReport, format: str) -> bytes:  # noqa: A002  the word that a caller expects
    """Return ``report`` as a file in ``format``, one of `FORMATS`.

    The same report gives the same bytes; text is UTF-8.

    Raises:
        UnknownFormatError: ``format`` is none of them.
    """
    try:
        write = _RENDERERS[format]
    except KeyError:
        raise UnknownFormatError(name=format) from None
    return write(report)

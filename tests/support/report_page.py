"""Reading a written report back, as a browser would, and the worst report of all, made once."""

from __future__ import annotations

from functools import cache
from html.parser import HTMLParser

from support.report_monster import monster
from test_coordination.adapters.rendering.render import render
from test_coordination.domain.report import TestReport

VOID = {"meta", "br", "img", "link", "input", "hr"}


class Page(HTMLParser):
    """The elements of a page, which must be nested as they should."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self._text: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self._open:
            self._text.append(data)

    @property
    def text(self) -> str:
        return "".join(self._text)

    def values(self, attribute: str) -> list[str]:
        return [found for _, attributes in self.elements if (found := attributes.get(attribute))]

    def tags(self) -> set[str]:
        return {tag for tag, _ in self.elements}


@cache
def monstrous() -> TestReport:
    return monster()


@cache
def monstrous_file(name: str) -> bytes:
    return render(monstrous(), name)


def page(report: TestReport) -> Page:
    return Page(render(report, "html").decode())

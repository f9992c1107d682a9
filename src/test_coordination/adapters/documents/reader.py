"""Reads YAML 1.2 into a tree with places, within limits, and says what is wrong in plain words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import yaml
from yaml.cyaml import CParser  # type: ignore[attr-defined]  # the stubs forget it
from yaml.events import (
    AliasEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    StreamEndEvent,
)

from test_coordination.adapters.documents.tree import TreeList, TreeMap, plain_value
from test_coordination.domain.errors import InvalidDocumentError, Mark, Problem

BYTES_MAX: Final = 1024 * 1024
DEPTH_MAX: Final = 64
NODES_MAX: Final = 50_000
ALIASES_MAX: Final = 64
PROBLEMS_MAX: Final = 100
EXCERPT: Final = 60

_BOM: Final = "\N{ZERO WIDTH NO-BREAK SPACE}"
_UNPRINTABLE: Final = re.compile(
    "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
)
_LINE_BREAK: Final = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
# From the sign of a block of text over its blank lines to its first character.
_BLOCK_START: Final = re.compile(r"[^\r\n]*(?:[\r\n]+ *)*")
_PROPERTIES: Final = re.compile(r"(?:[&!]\S*\s+)*")


def read(text: str | bytes, *, file: str) -> TreeMap:
    """Return the map that is the document in ``text``; ``file`` is only named in places.

    Keys are texts, however they are spelled (``200:`` is ``"200"``). What an alias stands for
    is shared by all its places, and knows that of its anchor.

    Raises:
        InvalidDocumentError: the text is no single YAML map, uses tags, merge keys or duplicate
            keys, or exceeds a limit. Mistakes that do not hide the rest are reported together.
    """
    decoded = _decoded(text, file)
    return _Reader(decoded, file).read()


def _decoded(text: str | bytes, file: str) -> str:
    raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if len(raw) > BYTES_MAX:
        said = f"the document has {len(raw)} bytes; at most {BYTES_MAX} are allowed: split it"
        _refuse(Mark(file, 1, 1), "yaml.too_large", said)
    try:
        decoded = raw.decode("utf-8").removeprefix(_BOM)
    except UnicodeDecodeError as error:
        mark = _mark_at(raw[: error.start].decode("utf-8", "replace"), file)
        said = f"the byte 0x{raw[error.start]:02x} is no UTF-8; save the file as UTF-8"
        _refuse(mark, "yaml.encoding", said)
    if bad := _UNPRINTABLE.search(decoded):
        said = (
            f"the character U+{ord(bad[0]):04X} is not allowed; remove it, "
            'or write it as an escape in double quotes, such as "\\u0007"'
        )
        _refuse(_mark_at(decoded[: bad.start()], file), "yaml.encoding", said)
    return decoded


def lines(text: str) -> list[str]:
    """Return the lines of ``text`` as YAML counts them."""
    return _LINE_BREAK.split(text)


def _mark_at(before: str, file: str) -> Mark:
    above = lines(before)
    return Mark(file, len(above), len(above[-1]) + 1)


def _refuse(mark: Mark, code: str, text: str) -> NoReturn:
    raise InvalidDocumentError(problems=(Problem(mark=mark, code=code, text=text),))


@dataclass(slots=True, kw_only=True)
class _Frame:
    """A map or list that is being read; ``height`` counts the levels below it so far."""

    node: TreeMap | TreeList
    anchor: str | None
    is_flow: bool
    nodes_before: int
    height: int = 0
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Anchored:
    value: Any
    nodes: int
    height: int


class _Reader:
    """One pass over one document; libyaml does the syntax, event by event, never recursing."""

    def __init__(self, text: str, file: str) -> None:
        self._text = text
        self._file = file
        self._problems: list[Problem] = []
        self._frames: list[_Frame] = []
        self._anchors: dict[str, _Anchored] = {}
        self._nodes = 0
        self._aliases = 0
        self._root: TreeMap | None = None

    def read(self) -> TreeMap:
        parser = CParser(self._text)
        try:
            documents = 0
            while not isinstance(event := parser.get_event(), StreamEndEvent | None):
                if isinstance(event, DocumentStartEvent):
                    documents += 1
                    if documents > 1:
                        said = "another document begins here; a file holds one: remove the '---'"
                        self._stop(self._mark(event.start_mark), "yaml.many_documents", said)
                self._take(event)
        except (yaml.MarkedYAMLError, yaml.reader.ReaderError) as error:
            self._stop(*_retold(error, self._text, self._file))
        finally:
            parser.dispose()
        if self._root is None:
            said = "the document is empty; it begins with a key, such as 'scenario: my-first'"
            self._stop(Mark(self._file, 1, 1), "yaml.empty", said)
        if self._problems:
            raise InvalidDocumentError(problems=tuple(sorted(self._problems, key=_place)))
        return self._root

    def _take(self, event: Event) -> None:
        if isinstance(event, MappingEndEvent | SequenceEndEvent):
            self._close()
            return
        if not isinstance(event, NodeEvent):
            return
        mark = self._mark(event.start_mark)
        self._count(1, mark)
        if isinstance(event, ScalarEvent | CollectionStartEvent):
            self._check_tag(event.tag, mark)
        match event:
            case CollectionStartEvent():
                self._open(event, mark)
            case AliasEvent():
                assert event.anchor is not None, "an alias has a name"
                self._alias(event.anchor, mark)
            case ScalarEvent():
                self._scalar(event, mark)
            case _:
                pass

    def _open(self, event: CollectionStartEvent, mark: Mark) -> None:
        if len(self._frames) >= DEPTH_MAX:
            self._too_deep(mark)
        is_map = isinstance(event, MappingStartEvent)
        if self._wants_key():
            self._no_key(mark, is_braces=is_map and bool(event.flow_style))
        node: TreeMap | TreeList = TreeMap(mark) if is_map else TreeList(mark)
        if self._frames:
            self._put(node, mark)
        elif isinstance(node, TreeMap):
            self._root = node
        else:
            said = "the document is a list; it must be a map of keys, such as 'scenario: my-first'"
            self._stop(mark, "yaml.not_a_map", said)
        self._frames.append(
            _Frame(
                node=node,
                anchor=event.anchor,
                is_flow=bool(event.flow_style),
                nodes_before=self._nodes - 1,
            )
        )

    def _close(self) -> None:
        frame = self._frames.pop()
        height = frame.height + 1
        if self._frames:
            self._frames[-1].height = max(self._frames[-1].height, height)
        if frame.anchor is not None:
            nodes = self._nodes - frame.nodes_before
            self._anchors[frame.anchor] = _Anchored(value=frame.node, nodes=nodes, height=height)

    def _alias(self, anchor: str, mark: Mark) -> None:
        self._aliases += 1
        if self._aliases > ALIASES_MAX:
            said = f"more than {ALIASES_MAX} aliases ('*name'); spell some of them out"
            self._stop(mark, "yaml.too_many_aliases", said)
        shown = _short(anchor)
        if any(frame.anchor == anchor for frame in self._frames):
            said = f"'*{shown}' stands inside what '&{shown}' names; it cannot contain itself"
            self._stop(mark, "yaml.recursive", said)
        if self._wants_key():
            self._no_key(mark)
        if (found := self._anchors.get(anchor)) is None:
            said = f"'*{shown}' repeats what '&{shown}' names, but nothing above is so named"
            self._stop(mark, "yaml.unknown_alias", f"{said}; quote it if it is text")
        self._count(found.nodes - 1, mark)
        if len(self._frames) + found.height > DEPTH_MAX:
            self._too_deep(mark)
        if self._frames:
            self._frames[-1].height = max(self._frames[-1].height, found.height)
        self._put(found.value, mark)

    def _scalar(self, event: ScalarEvent, mark: Mark) -> None:
        is_plain = event.style is None or event.style == ""
        value = plain_value(event.value) if is_plain else event.value
        if not self._frames:
            self._root_scalar(value, mark)
        if event.anchor is not None:
            self._anchors[event.anchor] = _Anchored(value=value, nodes=1, height=0)
        if self._wants_key():
            self._key(event.value, mark, is_plain=is_plain, is_null=value is None)
        else:
            self._put(value, self._text_mark(event, mark))

    def _root_scalar(self, value: object, mark: Mark) -> None:
        if value is None:
            return
        said = "the document is a single value; it must be a map of keys: write 'key: value'"
        self._stop(mark, "yaml.not_a_map", said)

    def _key(self, key: str, mark: Mark, *, is_plain: bool, is_null: bool) -> None:
        frame = self._frames[-1]
        assert isinstance(frame.node, TreeMap)
        frame.key = key
        if is_null:
            said = "a key is missing before ':'; write a name, or quote it if it is meant as text"
            self._note(mark, "yaml.key", said)
        elif is_plain and key == "<<":
            said = (
                "'<<' (merging maps) is not supported; use 'extends' to build on another document"
            )
            self._note(mark, "yaml.merge_key", said)
        elif (first := frame.node.key_marks.get(key)) is not None:
            shown = _short(key)
            said = f"the key {shown!r} is here again (first at {first.line}:{first.column})"
            said = f"{said}; keep one"
            self._note(mark, "yaml.duplicate_key", said)
        else:
            frame.node.key_marks[key] = mark

    def _put(self, value: object, mark: Mark) -> None:
        if not self._frames:
            return
        frame = self._frames[-1]
        if isinstance(frame.node, TreeList):
            frame.node.append(value)
            frame.node.marks.append(mark)
            return
        key, frame.key = frame.key, None
        assert key is not None
        frame.node[key] = value
        frame.node.value_marks[key] = mark

    def _wants_key(self) -> bool:
        if not self._frames:
            return False
        return isinstance(self._frames[-1].node, TreeMap) and self._frames[-1].key is None

    def _no_key(self, mark: Mark, *, is_braces: bool = False) -> NoReturn:
        parent = self._frames[-1]
        if is_braces and parent.is_flow:
            said = "'{{' is no expression here; spell it '${{ … }}'"
            self._stop(parent.node.mark, "yaml.braces", said)
        said = "a key must be a plain text; here it is a list, a map or an alias"
        self._stop(mark, "yaml.key", said)

    def _check_tag(self, tag: str | None, mark: Mark) -> None:
        if tag is not None:
            shown = _short(tag.replace("tag:yaml.org,2002:", "!!"))
            said = f"tags are not supported; remove {shown!r}, or quote the text if it is text"
            self._note(mark, "yaml.tag", said)

    def _count(self, nodes: int, mark: Mark) -> None:
        self._nodes += nodes
        if self._nodes > NODES_MAX:
            said = f"more than {NODES_MAX} values, counting what aliases repeat; split the document"
            self._stop(mark, "yaml.too_many_nodes", said)

    def _too_deep(self, mark: Mark) -> NoReturn:
        said = f"maps and lists inside each other more than {DEPTH_MAX} deep; flatten the document"
        self._stop(mark, "yaml.too_deep", said)

    def _note(self, mark: Mark, code: str, text: str) -> None:
        if len(self._problems) < PROBLEMS_MAX:
            self._problems.append(Problem(mark=mark, code=code, text=text))

    def _stop(self, mark: Mark, code: str, text: str) -> NoReturn:
        problems = [*self._problems, Problem(mark=mark, code=code, text=text)]
        raise InvalidDocumentError(problems=tuple(sorted(problems, key=_place)))

    def _mark(self, mark: Any) -> Mark:
        return Mark(self._file, mark.line + 1, mark.column + 1)

    def _text_mark(self, event: ScalarEvent, mark: Mark) -> Mark:
        """Return the place of the first character of a text, behind the sign that opens it."""
        has_properties = event.anchor is not None or event.tag is not None
        if not (has_properties or event.style):
            return mark
        opening: Any = event.start_mark
        begin = start = int(opening.index)
        if has_properties:
            start = _must_match(_PROPERTIES, self._text, start).end()
        indent = 0
        if event.style in ("|", ">") and event.value.strip():
            start = _must_match(_BLOCK_START, self._text, start).end()
            inner = event.value.lstrip("\n")
            indent = len(inner) - len(inner.lstrip(" "))
        elif event.style in ("'", '"'):
            start += 1
        *above, line = _LINE_BREAK.split(self._text[begin:start])
        if not above:
            return Mark(self._file, mark.line, mark.column + len(line))
        return Mark(self._file, mark.line + len(above), len(line) - indent + 1)


def _short(text: str) -> str:
    return text if len(text) <= EXCERPT else f"{text[:EXCERPT]}…"


def _place(problem: Problem) -> Mark:
    return problem.mark


def _must_match(pattern: re.Pattern[str], text: str, start: int) -> re.Match[str]:
    found = pattern.match(text, start)
    assert found is not None, "every part of these patterns may be empty"
    return found


_INDENTATION: Final = "the indentation does not fit; keys of one map, and items of one list, "
# What libyaml says, and what is told of it.
_RETOLD: Final = {
    "mapping values are not allowed": "a key and its ':' cannot stand here; check the indentation, "
    "or quote the text if the ':' belongs to it",
    "block sequence entries are not allowed": "a list item ('- ') cannot begin here; "
    "give it a line of its own",
    "did not find expected key": _INDENTATION
    + "begin in one column, and nothing follows a closing quote",
    "did not find expected '-' indicator": _INDENTATION + "begin in one column",
    "could not find expected ':'": "a ':' was expected; a key is followed by ': ' and its value, "
    "and a text of several lines needs '|' or quotes",
    "found unexpected end of stream": "a quote is opened and not closed",
    "did not find expected ',' or ']'": "a ',' or the closing ']' was expected",
    "did not find expected ',' or '}'": "a ',' or the closing '}' was expected",
    "did not find expected node content": "a value was expected",
    "found unknown escape character": "an escape that does not exist; write '\\\\' for a "
    "backslash, or use single quotes",
    "found invalid Unicode character escape code": "an escape of what is no character; write the "
    "character itself",
    "did not find expected hexdecimal number": "an escape without its digits; write the character "
    "itself, or '\\\\' for a backslash",
    "did not find expected <document start>": "text after the end of the document; remove it",
    "found unexpected document indicator": "'---' or '...' inside quotes; close the quote first",
    "found undefined tag handle": "tags are not supported; quote the text if the '!' belongs to it",
    "did not find expected alphabetic or numeric character": "a name must follow '&' or '*'; "
    "quote the text if the sign belongs to it",
}


def _retold(error: yaml.YAMLError, text: str, file: str) -> tuple[Mark, str, str]:
    """Return where libyaml stopped, our code for it, and what to tell the author."""
    at = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if at is None:
        return Mark(file, 1, 1), "yaml.syntax", f"this is no YAML: {error}"
    # Behind a last line that does not end libyaml counts one more.
    mark = min(Mark(file, at.line + 1, at.column + 1), _mark_at(text, file))
    said = getattr(error, "problem", None) or str(error)
    line = _LINE_BREAK.split(text[at.index - at.column :], maxsplit=1)[0]
    if "tab character" in said or line[at.column : at.column + 1] == "\t":
        return mark, "yaml.tab", "a tab cannot indent; use blanks"
    if "cannot start any token" in said:
        sign = line[at.column : at.column + 1]
        return mark, "yaml.syntax", f"a text cannot begin with {sign!r}; put it in quotes"
    told = next((words for key, words in _RETOLD.items() if key in said), said)
    begun = getattr(error, "context_mark", None)
    if begun is not None and ("expected ','" in said or "end of stream" in said):
        told = f"{told} (opened at {begun.line + 1}:{begun.column + 1})"
    if "${{" in line:
        told = f"{told}; a text with '${{{{ }}}}' often needs quotes around the whole of it"
    return mark, "yaml.syntax", told

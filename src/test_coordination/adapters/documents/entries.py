"""A list whose entries are known by their ids, while others are merged into it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from test_coordination.adapters.documents.tree import Tree, TreeList, TreeMap
from test_coordination.domain.errors import Mark

GROUPS: Final = ("parallel", "sequence")
KINDS: Final = frozenset(
    {
        "fault", "action", "probe", "snapshot", "restore", "wait", "stop", "expect", "scenario",
        *GROUPS,
    }
)  # fmt: skip
"""The keys that say what a step does."""


def kinds(entry: TreeMap) -> frozenset[str]:
    """Return the keys of an entry that say what it does."""
    background = entry.get("background")
    inner = frozenset(background) if isinstance(background, TreeMap) else frozenset()
    return (frozenset(entry) | inner) & KINDS


def flat(entry: TreeMap, *, beside: TreeMap) -> TreeMap:
    """Return an entry as it is with ``background: true`` if it holds its kind under that key.

    It is left alone where the entry ``beside`` it, which it is to be merged with, does so too.
    """
    background = entry.get("background")
    if not isinstance(background, TreeMap) or isinstance(beside.get("background"), TreeMap):
        return entry
    out = TreeMap(entry.mark)
    for key in entry:
        if key != "background":
            out.take(entry, key)
    for key in background:
        out.take(background, key)
    key_mark, mark = entry.key_marks["background"], entry.value_marks["background"]
    out.put("background", value=True, key_mark=key_mark, mark=mark)
    return out


def _walk(entries: TreeList) -> Iterator[Tree]:
    """Yield each entry, a group before those in it."""
    for entry in entries:
        yield entry
        for _, inner in _groups(entry):
            yield from _walk(inner)


def _groups(entry: Tree) -> Iterator[tuple[str, TreeList]]:
    """Yield the lists inside an entry that is a group."""
    if isinstance(entry, TreeMap):
        for key in GROUPS:
            if isinstance(entry.get(key), TreeList):
                yield key, entry[key]


class Entries:
    """A list and the changes to it, which are all made at once when it is `built`.

    Entries are known by their ids, also those inside groups. The source stays as it is.
    """

    def __init__(self, source: TreeList, *, mark: Mark) -> None:
        """Change ``source``; what comes of it stands at ``mark``."""
        self._source = source
        self._mark = mark
        # The entry that has an id, as it was when it came in; by its identity, what became of it.
        self._known: dict[str, TreeMap] = {}
        self._changed: dict[int, tuple[TreeMap, Mark]] = {}
        self._removed: set[int] = set()
        self._beside: dict[tuple[str, int], list[tuple[TreeMap, Mark]]] = {}
        self._appended: list[tuple[Tree, Mark]] = []
        self._kept: list[list[tuple[TreeMap, Mark]]] = []
        self._register(source)

    def ids(self) -> frozenset[str]:
        """Return the ids that there are."""
        return frozenset(self._known)

    def has(self, name: str) -> bool:
        """Tell whether there is an entry with that id."""
        return name in self._known

    def taken(self, name: str) -> TreeMap:
        """Return the entry with that id, changes inside it made; it is to be replaced now."""
        found = self._known[name]
        self._forget(found)
        self._known[name] = found
        return self._opened(found)

    def replace(self, name: str, entry: TreeMap, mark: Mark) -> None:
        """Put ``entry`` where the one with that id is."""
        self._changed[id(self._known[name])] = (entry, mark)
        for _, inner in _groups(entry):
            self._register(inner)

    def remove(self, name: str) -> bool:
        """Take the entry with that id away; False if there is none."""
        found = self._known.get(name)
        if found is not None:
            self._removed.add(id(found))
            self._forget(found)
        return found is not None

    def append(self, entry: Tree, mark: Mark) -> None:
        """Add an entry at the end."""
        self._appended.append((entry, mark))
        self._register([entry])

    def insert(self, entry: TreeMap, mark: Mark, *, word: str, anchor: str) -> bool:
        """Add an entry ``before`` or ``after`` another, as ``word`` says; False if that is missing.

        It comes into the group of that one. Entries put beside the same one stand in the order
        in which they came.
        """
        found = self._known.get(anchor)
        if found is not None:
            self._beside.setdefault((word, id(found)), []).append((entry, mark))
            self._register([entry])
        return found is not None

    def built(self) -> TreeList:
        """Return the list with all changes made; nothing can be changed after that."""
        out = self._list(self._source, self._mark)
        for entry, mark in self._appended:
            self._put(out, entry, mark)
        return out

    def _register(self, entries: Iterable[Tree]) -> None:
        for entry in entries:
            if isinstance(entry, TreeMap) and isinstance(entry.get("id"), str):
                self._known.setdefault(entry["id"], entry)
            for _, inner in _groups(entry):
                self._register(inner)

    def _forget(self, entry: TreeMap) -> None:
        """Forget the ids of an entry and of those that are inside it now."""
        now, _ = self._changed.get(id(entry), (entry, None))
        for one in (entry, *(one for _, inner in _groups(now) for one in _walk(inner))):
            name = one.get("id") if isinstance(one, TreeMap) else None
            if isinstance(name, str) and self._known.get(name) is one:
                del self._known[name]

    def _list(self, source: TreeList, mark: Mark) -> TreeList:
        out = TreeList(mark)
        for entry, at in zip(source, source.marks, strict=True):
            self._put(out, entry, at)
        return out

    def _put(self, out: TreeList, entry: Tree, mark: Mark) -> None:
        """Add an entry as it has become, with those that were put beside it."""
        for beside in self._taken_beside("before", entry):
            self._put(out, *beside)
        if not isinstance(entry, TreeMap):
            out.add(entry, mark)
        elif id(entry) not in self._removed:
            _, at = self._changed.get(id(entry), (entry, mark))
            out.add(self._opened(entry), at)
        for beside in self._taken_beside("after", entry):
            self._put(out, *beside)

    def _taken_beside(self, word: str, entry: Tree) -> list[tuple[TreeMap, Mark]]:
        found = self._beside.pop((word, id(entry)), [])
        # What is known by its identity must not make room for something else with the same one.
        self._kept.append(found)
        return found

    def _opened(self, entry: TreeMap) -> TreeMap:
        """Return an entry as it has become, changes inside it made."""
        now, _ = self._changed.get(id(entry), (entry, None))
        out = now
        for key, inner in _groups(now):
            out = now.copied() if out is now else out
            marks = {"key_mark": now.key_marks[key], "mark": now.value_marks[key]}
            out.put(key, self._list(inner, inner.mark), **marks)
        return out

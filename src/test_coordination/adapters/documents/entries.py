"""A list whose entries are known by their ids, while others are merged into it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from test_coordination.adapters.documents.tree import Tree, TreeList, TreeMap
from test_coordination.domain.errors import Mark

ENTRIES_MAX: Final = 2_000
"""How many entries a list may have while it is merged, those inside groups counted."""

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


def size(entries: TreeList) -> int:
    """Return how many entries there are, those inside groups included."""
    return sum(1 for _ in _walk(entries))


def _walk(entries: TreeList) -> Iterator[tuple[TreeList, int]]:
    """Yield each entry as a list and the place in it, a group before those in it."""
    for place, entry in enumerate(entries):
        yield entries, place
        if isinstance(entry, TreeMap):
            for key in GROUPS:
                if isinstance(entry.get(key), TreeList):
                    yield from _walk(entry[key])


class Entries:
    """A copy of a list that can be changed; ids are those of entries inside groups, too."""

    def __init__(self, source: TreeList, *, mark: Mark) -> None:
        """Copy ``source``; the copy stands at ``mark``."""
        self.tree = _copied(source)
        self.tree.mark = mark
        # How many entries have been put behind each one already.
        self._behind: dict[str, int] = {}

    def ids(self) -> frozenset[str]:
        """Return the ids that there are."""
        return frozenset(
            entries[place]["id"]
            for entries, place in _walk(self.tree)
            if isinstance(entries[place], TreeMap) and isinstance(entries[place].get("id"), str)
        )

    def get(self, name: str) -> TreeMap | None:
        """Return the entry with that id; None if there is none."""
        return next((entries[place] for entries, place in self._find(name)), None)

    def remove(self, name: str) -> bool:
        """Take the entry with that id away; False if there is none."""
        for entries, place in self._find(name):
            entries.drop(place)
            return True
        return False

    def replace(self, old: TreeMap, entry: TreeMap, mark: Mark) -> None:
        """Put ``entry`` where ``old`` is, which `get` returned."""
        for entries, place in self._find(old["id"]):
            if entries[place] is old:
                entries[place] = entry
                entries.marks[place] = mark

    def append(self, entry: Tree, mark: Mark) -> None:
        """Add an entry at the end."""
        self.tree.add(entry, mark)

    def insert(
        self, entry: TreeMap, mark: Mark, *, before: str | None = None, after: str | None = None
    ) -> bool:
        """Add an entry beside another one, in that one's group; False if there is none.

        Entries put beside the same one stand in the order in which they came.
        """
        anchor = after or before or ""
        for entries, place in self._find(anchor):
            if before is None:
                behind = self._behind.get(anchor, 0) + 1
                self._behind[anchor] = behind
                entries.add(entry, mark, place=place + behind)
            else:
                entries.add(entry, mark, place=place)
            return True
        return False

    def _find(self, name: str) -> Iterator[tuple[TreeList, int]]:
        for entries, place in _walk(self.tree):
            entry = entries[place]
            if isinstance(entry, TreeMap) and entry.get("id") == name:
                yield entries, place


def _copied(source: TreeList) -> TreeList:
    out = TreeList(source.mark)
    for entry, mark in zip(source, source.marks, strict=True):
        out.add(_opened(entry), mark)
    return out


def _opened(entry: Tree) -> Tree:
    """Return an entry, with lists of its own if it is a group."""
    if not isinstance(entry, TreeMap) or not any(key in entry for key in GROUPS):
        return entry
    out = entry.copied()
    for key in GROUPS:
        if isinstance(entry.get(key), TreeList):
            marks = {"key_mark": entry.key_marks[key], "mark": entry.value_marks[key]}
            out.put(key, _copied(entry[key]), **marks)
    return out

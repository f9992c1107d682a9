"""A list whose entries are known by their ids, while others are merged into it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
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
PLACES: Final = ("before", "after")
"""The words that say beside which other one an entry stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an entry stands: ``before`` or ``after``, as ``word`` says, the one named ``anchor``.

    ``mark`` is where that is written.
    """

    word: str
    anchor: str
    mark: Mark


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
        # What was moved, by its identity: it is left out where it was.
        self._moved: dict[int, TreeMap] = {}
        self._beside: dict[tuple[str, int], list[tuple[TreeMap, Mark]]] = {}
        self._places: list[tuple[TreeMap, Place]] = []
        self._appended: list[tuple[Tree, Mark]] = []
        self._adrift: set[int] = set()
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

    def move(self, name: str, *, to: Place) -> bool:
        """Put the entry with that id at a place, as it has become; False if that is missing.

        What is put beside it goes with it. No entry can be `taken` after that.
        """
        entry = self._known[name]
        if to.anchor not in self._known:
            return False
        self._moved[id(entry)] = entry
        return self.insert(entry, to.mark, at=to)

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

    def insert(self, entry: TreeMap, mark: Mark, *, at: Place) -> bool:
        """Add an entry at a place; False if what it names is missing.

        It comes into the group of that one. Entries put beside the same one stand in the order
        in which they came.
        """
        found = self._known.get(at.anchor)
        if found is not None:
            self._beside.setdefault((at.word, id(found)), []).append((entry, mark))
            self._places.append((entry, at))
            self._register([entry])
        return found is not None

    def built(self) -> TreeList:
        """Return the list with all changes made; nothing can be changed after that."""
        out = self._list(self._source, self._mark)
        for entry, mark in self._appended:
            self._put(out, entry, mark)
        # What is still beside something hangs on itself; it goes to the end, and is refused.
        self._adrift = {id(entry) for found in self._beside.values() for entry, _ in found}
        while self._beside:
            for entry, mark in self._beside.pop(next(iter(self._beside))):
                self._put(out, entry, mark, placed=True)
        return out

    def circle(self) -> tuple[list[str], Mark] | None:
        """Return the ids of entries that are placed beside or inside each other, and where.

        There is none, and so None, where all have a place in the list that was `built`.
        """
        placed = [(entry, at) for entry, at in self._places if id(entry) in self._adrift]
        above: dict[int, tuple[TreeMap, Place]] = {}
        for entry, at in placed:
            above |= {id(one): (entry, at) for one in self._inside(entry)}
        own = {id(entry): (entry, at) for entry, at in placed}
        met: dict[int, TreeMap] = {}
        here = next(iter(own.values()), None)
        while here is not None and id(here[0]) not in met:
            entry, at = here
            met[id(entry)] = entry
            anchor = id(self._known.get(at.anchor))
            here = own.get(anchor) or above.get(anchor)
        if here is None:
            return None
        entries = list(met.values())[list(met).index(id(here[0])) :]
        return [str(entry.get("id", "")) for entry in (*entries, here[0])], here[1].mark

    def _register(self, entries: Iterable[Tree]) -> None:
        for entry in entries:
            if isinstance(entry, TreeMap) and isinstance(entry.get("id"), str):
                self._known.setdefault(entry["id"], entry)
            for _, inner in _groups(entry):
                self._register(inner)

    def _forget(self, entry: TreeMap) -> None:
        """Forget the ids of an entry and of those that are inside it now."""
        for one in (entry, *self._inside(entry)):
            name = one.get("id")
            if isinstance(name, str) and self._known.get(name) is one:
                del self._known[name]

    def _inside(self, entry: TreeMap) -> Iterator[TreeMap]:
        """Yield what is in an entry that is a group now, but for what was moved out of it."""
        now, _ = self._changed.get(id(entry), (entry, None))
        for one in (one for _, inner in _groups(now) for one in inner):
            if isinstance(one, TreeMap) and id(one) not in self._moved:
                yield one
                yield from self._inside(one)

    def _list(self, source: TreeList, mark: Mark) -> TreeList:
        out = TreeList(mark)
        for entry, at in zip(source, source.marks, strict=True):
            self._put(out, entry, at)
        return out

    def _put(self, out: TreeList, entry: Tree, mark: Mark, *, placed: bool = False) -> None:
        """Add an entry as it has become, with those that were put beside it.

        One that was moved is added only where it is ``placed``.
        """
        if id(entry) in self._moved and not placed:
            return
        for beside in self._taken_beside("before", entry):
            self._put(out, *beside, placed=True)
        if not isinstance(entry, TreeMap):
            out.add(entry, mark)
        elif id(entry) not in self._removed:
            _, at = self._changed.get(id(entry), (entry, mark))
            out.add(self._opened(entry), at)
        for beside in self._taken_beside("after", entry):
            self._put(out, *beside, placed=True)

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

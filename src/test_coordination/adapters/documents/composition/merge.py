"""Laying one document over those that it extends, with every part keeping its place.

What is merged is never changed: the result shares with its sources all that is the same. A text
or number in it has the place where it was written; a map or list that several documents speak of
has that of the last one that does.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from test_coordination.adapters.documents.composition.entries import (
    GROUPS,
    PLACES,
    Entries,
    Place,
    flat,
    kinds,
)
from test_coordination.adapters.documents.document import PROBLEMS_MAX
from test_coordination.adapters.documents.tree import Tree, TreeList, TreeMap
from test_coordination.adapters.documents.words import alternatives, described, enumerated, shown
from test_coordination.domain.errors import Mark, Problem

BY_ID: Final = (
    "preconditions",
    "steady_state",
    "stop_when",
    "steps",
    "postconditions",
    "on_failure",
)
"""The lists whose entries are known by their ids."""

_NAMED: Final = ("parameters", "probes")
_LIST_WORDS: Final = ("replace", "remove", "items")
# The three ways to say where a parameter's value comes from; the last one that is said holds.
_SOURCES: Final = ("default", "required", "abstract")
_PROBE_KEYS: Final = frozenset({"every", "timeout"})


class Merger:
    """Merges documents one by one; ``problems`` are the mistakes in how they do it."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        # What an earlier document has removed may be removed again by one that knows no better.
        self._removed: set[tuple[str, str]] = set()
        # The ids that have been met in the list that is being merged, to find those that are twice.
        self._seen: set[str] = set()

    def document(self, base: TreeMap, patch: TreeMap, *, skip: Iterable[str] = ()) -> TreeMap:
        """Return ``base`` with ``patch`` laid over it, but for the keys to ``skip``."""
        out = base.copied()
        out.mark = patch.mark
        for key in patch:
            if key in skip:
                continue
            found, under = patch[key], out.get(key)
            if key in BY_ID:
                self._seen = set()
                value = self._by_id(key, under, found)
            elif key in _NAMED:
                value = self._named(key, under, found)
            elif key == "tags":
                value = _united(under, found)
            else:
                value = merged(under, found)
            _put(out, key, value, of=patch)
        return out

    def _refuse(self, mark: Mark, rule: str, text: str) -> None:
        problem = Problem(mark=mark, code=f"scenario.{rule}", text=text)
        if problem not in self.problems[-1:] and len(self.problems) < PROBLEMS_MAX:
            self.problems.append(problem)

    def _unknown(self, mark: Mark, text: str, near: tuple[str, Iterable[str]]) -> None:
        """Refuse a name that is unknown; what it may have been is costly, and said a few times."""
        if len(self.problems) < PROBLEMS_MAX:
            self._refuse(mark, "unknown_id", f"{text}; {alternatives(*near)}")

    def _named(self, key: str, base: Tree, patch: Tree) -> Tree:
        """Merge parameters or probes."""
        if not isinstance(patch, TreeMap):
            return patch
        known = base if isinstance(base, TreeMap) else TreeMap(patch.mark)
        if "replace" in patch and self._flag(patch, "replace"):
            known = TreeMap(patch.mark)
        out = known.copied()
        out.mark = patch.mark
        for name, mark in self._names(patch, "remove"):
            if name not in out and (key, name) not in self._removed:
                text = f"{key!r} that are inherited have none named {shown(name)} to be removed"
                self._unknown(mark, text, (name, out))
            out.drop(name)
            self._removed.add((key, name))
        merge = _parameter if key == "parameters" else _probe
        for name in patch:
            if name not in {"remove", "replace"}:
                value = merge(out.get(name), patch[name], patch.value_marks[name])
                _put(out, name, value, of=patch)
        return out

    def _by_id(self, key: str, base: Tree, patch: Tree) -> Tree:
        """Merge a list whose entries have ids; a map says how the whole list is treated."""
        replaces, items = False, patch
        remove: list[tuple[str, Mark]] = []
        if isinstance(patch, TreeMap) and any(word in patch for word in _LIST_WORDS):
            self._check_words(key, patch)
            replaces = "replace" in patch and self._flag(patch, "replace")
            remove = [] if replaces else self._names(patch, "remove")
            items = patch.get("items", TreeList(patch.mark))
            if not isinstance(items, TreeList):
                text = f"'items' must be a list, not {described(items)}"
                self._refuse(patch.value_marks["items"], "wrong_type", text)
                items = TreeList(patch.mark)
        if not isinstance(items, TreeList):
            return items
        under = base if isinstance(base, TreeList) and not replaces else TreeList(items.mark)
        entries = Entries(under, mark=items.mark)
        for wanted in remove:
            self._remove(key, entries, wanted)
        self._lay(key, entries, items)
        built = entries.built()
        if (circle := entries.circle()) is not None:
            names, mark = circle
            text = f"these are placed beside or inside each other: {' -> '.join(names)}; "
            self._refuse(mark, "cycle", f"{text}name another entry in one of them")
        return built

    def _check_words(self, key: str, patch: TreeMap) -> None:
        for word in patch:
            if word not in _LIST_WORDS:
                text = f"{key!r} is a list, or a map of {enumerated(_LIST_WORDS, 'and')}, "
                text += f"which {shown(word)} is not; {alternatives(word, _LIST_WORDS)}"
                self._refuse(patch.key_marks[word], "unknown_key", text)
        if patch.get("replace") is True and "remove" in patch:
            text = "'replace' leaves nothing that could be removed; leave one of the two out"
            self._refuse(patch.key_marks["remove"], "bad_word", text)

    def _remove(self, key: str, entries: Entries, wanted: tuple[str, Mark]) -> None:
        name, mark = wanted
        if not entries.remove(name) and (key, name) not in self._removed:
            text = f"{key!r} that are inherited have no entry {shown(name)} to be removed"
            self._unknown(mark, text, (name, entries.ids()))
        self._removed.add((key, name))

    def _lay(self, key: str, entries: Entries, items: TreeList) -> None:
        """Merge each entry into the one of its id; then place those that are new or moved."""
        inherited = entries.ids()
        rest: list[tuple[Tree, Mark, bool]] = []
        for entry, mark in zip(items, items.marks, strict=True):
            name = entry.get("id") if isinstance(entry, TreeMap) else None
            is_old = False
            # An id that comes twice is left for the decoder to refuse.
            if isinstance(name, str) and name not in self._seen:
                self._seen.add(name)
                is_old = name in inherited and entries.has(name)
                if is_old:
                    entries.replace(name, self._entry(key, entries.taken(name), entry), mark)
            rest.append((entry, mark, is_old))
        for entry, mark, is_old in rest:
            if not isinstance(entry, TreeMap):
                entries.append(entry, mark)
            elif is_old:
                self._move(key, entries, entry)
            else:
                self._add(key, entries, (entry, mark))

    def _move(self, key: str, entries: Entries, entry: TreeMap) -> None:
        """Move an inherited entry to where it says, if it does."""
        name, place = str(entry["id"]), self._place(entry)
        if place is None or not entries.has(name):
            return
        if place.anchor == name:
            text = f"{name!r} cannot stand {place.word} itself; name another entry"
            self._refuse(place.mark, "bad_word", text)
        elif not entries.move(name, to=place):
            self._unknown_place(key, entries, place)

    def _add(self, key: str, entries: Entries, item: tuple[TreeMap, Mark]) -> None:
        entry, mark = item
        if "replace" in entry and self._flag(entry, "replace"):
            name = str(entry.get("id", ""))
            text = f"{key!r} that are inherited have no entry {shown(name)} to be replaced"
            self._unknown(entry.key_marks["replace"], text, (name, entries.ids()))
        new = self._entry(key, TreeMap(entry.mark), entry)
        place = self._place(entry)
        if place is not None and entries.insert(new, mark, at=place):
            return
        if place is not None:
            self._unknown_place(key, entries, place)
        entries.append(new, mark)

    def _place(self, entry: TreeMap) -> Place | None:
        """Return where an entry says that it stands; None if it does not, or not well."""
        words = [word for word in entry if word in PLACES]
        if len(words) > 1:
            text = "an entry is placed 'before' or 'after' another; leave one of the two out"
            self._refuse(entry.key_marks[words[1]], "bad_word", text)
        for word in words[:1]:
            anchor, mark = entry[word], entry.value_marks[word]
            if isinstance(anchor, str):
                return Place(word=word, anchor=anchor, mark=mark)
            text = f"{word!r} must be the id of an entry, not {described(anchor)}"
            self._refuse(mark, "wrong_type", text)
        return None

    def _unknown_place(self, key: str, entries: Entries, place: Place) -> None:
        text = f"no entry of {key!r} above has the id {shown(place.anchor)}"
        self._unknown(place.mark, text, (place.anchor, entries.ids()))

    def _entry(self, key: str, base: TreeMap, patch: TreeMap) -> TreeMap:
        """Return an entry of a list laid over the one of its id, without the words for that."""
        own = patch.copied()
        for word in ("replace", *PLACES):
            own.drop(word)
        if base and kinds(base):
            base, own = flat(base, beside=own), flat(own, beside=base)
        replaces = "replace" in patch and self._flag(patch, "replace")
        if replaces or (kinds(own) and kinds(base) and not kinds(own) & kinds(base)):
            base = TreeMap(own.mark)
        out = base.copied()
        out.mark = own.mark
        for name in own:
            is_list = key == "steps" and name in GROUPS
            found, under = own[name], out.get(name)
            value = self._by_id(key, under, found) if is_list else merged(under, found)
            _put(out, name, value, of=own)
        return out

    def _flag(self, patch: TreeMap, word: str) -> bool:
        found = patch[word]
        if not isinstance(found, bool):
            text = f"{word!r} must be true, or be left out, not {described(found)}"
            mark = patch.value_marks[word]
            self._refuse(mark, "wrong_type", text)
        return found is True

    def _names(self, patch: TreeMap, word: str) -> list[tuple[str, Mark]]:
        if word not in patch:
            return []
        found = patch[word]
        if isinstance(found, TreeList) and all(isinstance(name, str) for name in found):
            return list(zip(found, found.marks, strict=True))
        text = f"{word!r} must be a list of names, such as [a, b], not {described(found)}"
        if isinstance(found, list):
            text = f"{word!r} must be a list of names, and each of them a text in quotes"
        self._refuse(patch.value_marks[word], "wrong_type", text)
        return []


def merged(base: Tree, patch: Tree) -> Tree:
    """Return ``patch`` laid over ``base``: maps by key, all else as a whole.

    Where a map is laid over a map, ``replace: true`` in it leaves nothing of what is below.
    """
    if not isinstance(base, TreeMap) or not isinstance(patch, TreeMap):
        return patch
    replaces = patch.get("replace")
    out = TreeMap(patch.mark) if replaces is True else base.copied()
    out.mark = patch.mark
    for key in patch:
        if key != "replace" or not isinstance(replaces, bool):
            _put(out, key, merged(out.get(key), patch[key]), of=patch)
    return out


def _put(out: TreeMap, key: str, value: Tree, *, of: TreeMap) -> None:
    """Set a key to what ``value`` is with the places that it has in the patch that it is ``of``."""
    out.put(key, value, key_mark=of.key_marks[key], mark=of.value_marks[key])


def _united(base: Tree, patch: Tree) -> Tree:
    if not isinstance(base, TreeList) or not isinstance(patch, TreeList):
        return patch
    out = TreeList(patch.mark)
    for tags in (base, patch):
        for tag, mark in zip(tags, tags.marks, strict=True):
            if tags is base or tag not in out:
                out.add(tag, mark)
    return out


def _probe(base: Tree, patch: Tree, mark: Mark) -> Tree:  # noqa: ARG001  # as `_parameter`
    """Merge a probe; one that looks at something else is another probe."""
    if isinstance(base, TreeMap) and isinstance(patch, TreeMap):
        looks = patch.keys() - _PROBE_KEYS - {"replace"}
        if looks and not looks & base.keys():
            base = TreeMap(patch.mark)
    return merged(base, patch)


def _parameter(base: Tree, patch: Tree, mark: Mark) -> Tree:
    """Merge a parameter; a bare value, found at ``mark``, is the default of an inherited one."""
    if not isinstance(base, TreeMap) or patch is None:
        return patch
    if not isinstance(patch, TreeMap):
        bare = TreeMap(mark)
        bare.put("default", patch, key_mark=mark, mark=mark)
        patch = bare
    out = merged(base, patch)
    assert isinstance(out, TreeMap), "a map laid over a map is one"
    said = "default" in patch or patch.get("required") is True or patch.get("abstract") is True
    for key in _SOURCES:
        if said and key not in patch:
            out.drop(key)
    return out

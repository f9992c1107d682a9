"""A document together with all that it extends, as one tree.

The documents stand in a line: each behind those that it extends, in the order in which it names
them, and each only once, where it is met first. Then each is laid over what is before it, so that
the later ones win and the document itself has the last word.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from test_coordination.adapters.documents.composition.bounds import Ancestor, parameter_problems
from test_coordination.adapters.documents.composition.merge import Merger
from test_coordination.adapters.documents.document import Document
from test_coordination.adapters.documents.forms.fields import REFERENCE_EXPECTED, split_reference
from test_coordination.adapters.documents.reader import NODES_MAX, read
from test_coordination.adapters.documents.tree import TreeList, TreeMap, count
from test_coordination.adapters.documents.words import alternatives, described, shown
from test_coordination.application.ports import Library
from test_coordination.domain.errors import InvalidDocumentError, Mark, Problem
from test_coordination.domain.scenario import DocumentKind, Part, Reference

LANGUAGE_VERSION: Final = 1
DEPTH_MAX: Final = 16
"""How many documents may stand between one and the last one that it goes back to."""
PARENTS_MAX: Final = 64
"""How many documents one may go back to in all."""

# How the keys of a document stand that was made of several.
_ORDER: Final = (
    "title", "description", "owner", "tags", "parameters", "depends_on", "resources",
    "blast_radius", "probes", "start", "preconditions", "steady_state", "stop_when", "steps",
    "postconditions", "on_failure", "timeout",
)  # fmt: skip
_EXTENDING: Final = (DocumentKind.SCENARIO, DocumentKind.TEMPLATE)
_Key = tuple[str, int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Composed:
    """One tree made of several documents; its places name the file that each part comes from.

    ``parts`` are the other documents in the order in which they are laid over each other.
    ``extends`` is what the document itself names, and ``problems`` are the mistakes in how they
    fit together.
    """

    tree: TreeMap
    parts: tuple[Part, ...] = ()
    extends: tuple[Reference, ...] = ()
    problems: tuple[Problem, ...] = ()


def kind_of(tree: TreeMap) -> DocumentKind | None:
    """Return what a document is by its first key; None if it is nothing that we know here."""
    first = next(iter(tree), "")
    return next((kind for kind in DocumentKind if kind == first), None)


def open_document(
    text: str | bytes, *, file: str, library: Library | None, has_suites: bool = False
) -> tuple[Document, Composed]:
    """Return the document in ``text`` as it is with all that it extends, and what that is.

    Only scenarios and templates extend others; anything else is as it stands. Mistakes in a
    suite have codes of their own where the caller takes suites, as ``has_suites`` says.

    Raises:
        InvalidDocumentError: it is no YAML that we take.
    """
    tree = read(text, file=file)
    kind = kind_of(tree)
    composed = Composed(tree=tree)
    if kind in _EXTENDING:
        composed = compose(tree, file=file, library=library)
    language = "suite" if has_suites and kind is DocumentKind.SUITE else "scenario"
    document = Document(
        text, file=file, language=language, merged=composed.tree, parts=composed.parts
    )
    for problem in composed.problems:
        document.add(problem)
    return document, composed


def compose(tree: TreeMap, *, file: str, library: Library | None) -> Composed:
    """Return ``tree``, a scenario or template read from ``file``, with all that it extends.

    What is wrong is among the problems, and left out of the tree. The same texts give the same
    tree. What a document without words of inheritance gives is what it is.
    """
    name = tree.get(next(iter(tree), ""), "")
    root = _Layer(part=Part(name=str(name), file=file, text=""), tree=tree, via=tree.mark)
    line = _Line(library)
    line.follow(root)
    return line.laid(root)


def extended(tree: TreeMap) -> tuple[list[Reference], list[Problem]]:
    """Return what a document says that it extends, and what is wrong with how it does."""
    references: list[Reference] = []
    problems: list[Problem] = []
    if "extends" not in tree:
        return references, problems
    found, mark = tree["extends"], tree.value_marks["extends"]
    items, marks = (found, found.marks) if isinstance(found, TreeList) else ([found], [mark])
    if not items:
        text = "'extends' is an empty list; name at least one document, or leave the key out"
        problems.append(Problem(mark=mark, code="scenario.empty", text=text))
    for item, at in zip(items, marks, strict=True):
        named = split_reference(item) if isinstance(item, str) else None
        if named is None:
            text = f"'extends' must be {REFERENCE_EXPECTED}, or a list of these, "
            text += f"not {described(item)}"
            problems.append(Problem(mark=at, code="scenario.bad_name", text=text))
            continue
        reference = Reference(name=named[0], version=named[1], mark=at)
        if any(str(reference) == str(other) for other in references):
            text = f"{str(reference)!r} is extended already; leave it out here"
            problems.append(Problem(mark=at, code="scenario.duplicate", text=text))
        else:
            references.append(reference)
    return references, problems


@dataclass(slots=True, kw_only=True)
class _Layer:
    """One of the documents; ``via`` is where the first of them names what leads to it."""

    part: Part
    tree: TreeMap
    via: Mark
    extends: list[Reference] = field(default_factory=list)

    @property
    def key(self) -> _Key:
        return self.part.name, self.part.version


class _Line:
    """Finds the documents that one goes back to, and puts them in their order."""

    def __init__(self, library: Library | None) -> None:
        self._library = library
        self._problems: list[Problem] = []
        self._met: set[_Key] = set()
        self._layers: list[_Layer] = []
        self._nodes = 0
        self._is_full = False

    def follow(self, root: _Layer) -> None:
        """Put all in line that ``root`` goes back to, and then itself."""
        self._nodes = count(root.tree)
        self._visit([root])

    def laid(self, root: _Layer) -> Composed:
        """Return what the documents in line are together."""
        merger = Merger()
        below = TreeMap(root.tree.mark)
        for layer in self._layers[:-1]:
            skip = (next(iter(layer.tree)), "version", "extends")
            below = merger.document(below, layer.tree, skip=skip)
        head = [key for key in (*list(root.tree)[:1], "version") if key in root.tree]
        own = merger.document(below, root.tree, skip=(*head, "extends"))
        order = [*head, *_ORDER] if self._layers[:-1] else list(root.tree)
        tree = TreeMap(root.tree.mark)
        for key in dict.fromkeys((*order, *own)):
            if key in head:
                tree.take(root.tree, key)
            elif key in own:
                tree.take(own, key)
        ancestors = [
            Ancestor(name=each.part.name, tree=each.tree, via=each.via)
            for each in self._layers[:-1]
        ]
        said = parameter_problems(tree, ancestors)
        return Composed(
            tree=tree,
            parts=tuple(each.part for each in self._layers[:-1]),
            extends=tuple(root.extends),
            problems=(*self._problems, *merger.problems, *said),
        )

    def _refuse(self, mark: Mark, rule: str, text: str) -> None:
        self._problems.append(Problem(mark=mark, code=f"scenario.{rule}", text=text))

    def _visit(self, path: list[_Layer]) -> None:
        layer = path[-1]
        self._met.add(layer.key)
        layer.extends, problems = extended(layer.tree)
        self._problems += problems
        for reference in layer.extends:
            self._step(path, reference)
        self._layers.append(layer)

    def _step(self, path: list[_Layer], reference: Reference) -> None:
        """Go from the last document of ``path`` to one that it extends."""
        root = path[0]
        if reference.version is None and reference.name == root.part.name:
            self._refuse_circle(path, 0)
            return
        part = self._find(reference)
        if part is None:
            return
        places = [place for place, each in enumerate(path) if each.key == (part.name, part.version)]
        if places:
            self._refuse_circle(path, places[0])
        elif (part.name, part.version) not in self._met:
            self._enter(path, reference, part)

    def _enter(self, path: list[_Layer], reference: Reference, part: Part) -> None:
        if len(path) > DEPTH_MAX:
            chain = " -> ".join(each.part.name for each in [*path[:3], path[-1]])
            text = f"this goes back more than {DEPTH_MAX} documents ({chain} …); extend fewer"
            self._refuse(reference.mark, "too_deep", text)
            return
        if self._is_full:
            return
        if len(self._met) > PARENTS_MAX:
            self._is_full = True
            text = f"more than {PARENTS_MAX} documents are extended in all; extend fewer"
            self._refuse(reference.mark, "too_many_parents", text)
            return
        self._met.add((part.name, part.version))
        try:
            tree = read(part.text, file=part.file)
        except InvalidDocumentError as error:
            self._problems += error.problems
            return
        self._nodes += count(tree)
        if self._nodes > NODES_MAX:
            self._is_full = True
            text = f"all that is extended has more than {NODES_MAX} values; extend less"
            self._refuse(reference.mark, "too_large", text)
            return
        if self._is_parent(reference, tree):
            via = reference.mark if len(path) == 1 else path[1].via
            self._visit([*path, _Layer(part=part, tree=tree, via=via)])

    def _is_parent(self, reference: Reference, tree: TreeMap) -> bool:
        first = next(iter(tree))
        if kind_of(tree) not in _EXTENDING:
            text = f"{str(reference)!r} is a {first}, and only scenarios and templates can be "
            self._refuse(reference.mark, "wrong_parent", f"{text}extended; name one of these")
            return False
        version = tree.get("version")
        if version != LANGUAGE_VERSION or isinstance(version, bool | float):
            mark = tree.value_marks.get("version", tree.mark)
            text = f"'version' is that of the language and must be {LANGUAGE_VERSION}; add it"
            if "version" in tree:
                text = f"'version' is that of the language and must be {LANGUAGE_VERSION}, "
                text += f"not {described(version)}"
            self._refuse(mark, "unsupported_version", text)
        return True

    def _find(self, reference: Reference) -> Part | None:
        if self._library is None:
            text = f"{str(reference)!r} cannot be looked up here, where there is no library; "
            text += "give the document where definitions can be found"
            self._refuse(reference.mark, "unknown_parent", text)
            return None
        part = self._library.find(reference.name, version=reference.version)
        if part is None:
            text = unknown(self._library, reference)
            self._refuse(reference.mark, "unknown_parent", text)
        return part

    def _refuse_circle(self, path: Sequence[_Layer], start: int) -> None:
        circle = path[start:]
        names = [f"{_spelled(each)} ({each.part.file})" for each in circle]
        text = f"these extend each other: {' -> '.join([*names, _spelled(circle[0])])}; "
        text += "take one 'extends' away"
        mark = circle[0].tree.value_marks["extends"]
        problem = Problem(mark=mark, code="scenario.cycle", text=text)
        if problem not in self._problems:
            self._problems.append(problem)


def unknown(library: Library, reference: Reference) -> str:
    """Return the sentence about a name that ``library`` does not know, or not in that version."""
    if reference.version is not None and library.find(reference.name) is not None:
        text = f"there is no version {reference.version} of {shown(reference.name)}; "
        return f"{text}leave '@{reference.version}' out for the newest one"
    hint = alternatives(reference.name, library.names())
    return f"no scenario, template or suite is named {shown(reference.name)}; {hint}"


def _spelled(layer: _Layer) -> str:
    name, version = layer.key
    return name if version is None else f"{name}@{version}"

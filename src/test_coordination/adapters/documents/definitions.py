"""Reads definitions of every kind: scenarios, templates and suites, made of one text or several."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from test_coordination.adapters.documents.composition.closure import Closure, Opened
from test_coordination.adapters.documents.composition.compose import (
    extended,
    kind_of,
    open_document,
)
from test_coordination.adapters.documents.composition.explain import explain
from test_coordination.adapters.documents.declarations import read_parameters
from test_coordination.adapters.documents.document import Document
from test_coordination.adapters.documents.reader import read
from test_coordination.adapters.documents.scenario import ScenarioDecoder
from test_coordination.adapters.documents.suites import SuiteDecoder
from test_coordination.adapters.documents.words import enumerated, shown
from test_coordination.application.capabilities import Catalogue
from test_coordination.application.ports import Expressions, Library
from test_coordination.domain.errors import InvalidDocumentError
from test_coordination.domain.scenario import (
    Definition,
    DocumentKind,
    Explanation,
    Part,
    Reference,
    Template,
)
from test_coordination.domain.topology import Topology


class DefinitionReader:
    """Reads definitions of version 1 of the language."""

    def __init__(
        self, catalogue: Catalogue, expressions: Expressions, *, environment: Iterable[str] = ()
    ) -> None:
        """Read what may ask for all in ``catalogue``, and name variables of ``environment``."""
        names = frozenset(environment)
        self._bodies = ScenarioDecoder(catalogue, expressions, environment=names)
        self._suites = SuiteDecoder(expressions, environment=names)

    def read(
        self,
        text: str | bytes,
        *,
        file: str,
        library: Library | None = None,
        topology: Topology | None = None,
    ) -> Definition:
        """See `DefinitionReader.read` among the ports."""
        opened = self._open(text, file, (library, topology))
        opened.document.settle()
        return opened.definition

    def closed(
        self,
        text: str | bytes,
        *,
        file: str,
        library: Library,
        topology: Topology | None = None,
    ) -> Definition:
        """Return the definition in ``text`` with all that it needs among its ``parts``.

        Beside what it extends these are the scenarios that it runs or depends on, and all that
        they need in turn. A `Shelf` of them is enough to read it again.

        Raises:
            InvalidDocumentError: it, or one of the others, has mistakes, names what ``library``
                does not know, gives a scenario parameters that it has not, or needs itself.
        """

        def opening(part: Part) -> Opened:
            return self._open(part.text, part.file, (library, topology))

        opened = self._open(text, file, (library, topology))
        parts = Closure(library, opening).parts(opened)
        return _with_parts(opened.definition, parts)

    def mentions(self, text: str | bytes, *, file: str) -> Sequence[Reference]:
        """See `DefinitionReader.mentions` among the ports."""
        try:
            tree = read(text, file=file)
        except InvalidDocumentError:
            return ()
        references, _ = extended(tree) if kind_of(tree) is not DocumentKind.SUITE else ((), ())
        return tuple(references)

    def resolved(self, text: str | bytes, *, file: str, library: Library | None = None) -> str:
        """See `DefinitionReader.resolved` among the ports."""
        return self.explained(text, file=file, library=library).text

    def explained(
        self, text: str | bytes, *, file: str, library: Library | None = None
    ) -> Explanation:
        """See `DefinitionReader.explained` among the ports."""
        document, composed = open_document(text, file=file, library=library, has_suites=True)
        _check_kind(document)
        if "parameters" in composed.tree:
            # Of what is meant to be a secret, nothing but a reference to it is ever shown.
            read_parameters(document, ("parameters",))
        document.settle()
        return explain(composed.tree)

    def _open(
        self, text: str | bytes, file: str, world: tuple[Library | None, Topology | None]
    ) -> Opened:
        library, topology = world
        document, composed = open_document(text, file=file, library=library, has_suites=True)
        kind = _check_kind(document)
        definition: Definition
        match kind:
            case DocumentKind.SCENARIO:
                body = self._bodies.scenario(document, topology)
                definition = replace(body, source=document.text, extends=composed.extends)
            case DocumentKind.TEMPLATE:
                body = self._bodies.template(document, topology).body
                body = replace(body, source=document.text, extends=composed.extends)
                definition = Template(body=body)
            case DocumentKind.SUITE:
                definition = self._suites.suite(document, topology)
        return Opened(
            document=document,
            tree=composed.tree,
            definition=_with_parts(definition, composed.parts),
        )


def _with_parts(definition: Definition, parts: tuple[Part, ...]) -> Definition:
    if isinstance(definition, Template):
        return Template(body=replace(definition.body, parts=parts))
    return replace(definition, parts=parts)


def _check_kind(document: Document) -> DocumentKind:
    """Return what the document is.

    Raises:
        InvalidDocumentError: it is nothing that can be stored, and nothing else about it counts.
    """
    content = document.entries((), "a scenario, a template or a suite")
    first = next(iter(content), "")
    kind = next((kind for kind in DocumentKind if kind == first), None)
    if kind is not None:
        return kind
    if first == "topology":
        text = "this is a topology, which says where scenarios are run; give it where one is asked"
        document.refuse((first,), "wrong_document", f"{text} for", key=True)
    elif moved := [key for key in content if key in list(DocumentKind)]:
        text = f"{moved[0]!r} must be the first key of the document, for it says what it is; "
        document.refuse((moved[0],), "wrong_document", f"{text}move it", key=True)
    else:
        kinds = enumerated(DocumentKind)
        text = f"the first key must be {kinds}, with its name, not {shown(first)}"
        at = (first,) if content else ()
        document.refuse(at, "wrong_document", text, key=bool(content))
    document.settle()
    raise AssertionError("a document with a mistake does not settle")

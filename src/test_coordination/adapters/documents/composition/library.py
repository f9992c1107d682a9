"""Where the definitions are found that others name: in the files of directories."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from test_coordination.adapters.documents.composition.headings import heading
from test_coordination.adapters.documents.document import plain_text
from test_coordination.adapters.documents.reader import BYTES_MAX
from test_coordination.application.ports import Library
from test_coordination.domain.errors import CoordinationError
from test_coordination.domain.scenario import Part

FILES_MAX: Final = 2_000
"""How many files of the right kind a directory may hold."""

TEMPLATES: Final = "templates"
"""The folder in a library's directory that is looked through as well."""

_SUFFIXES: Final = frozenset({".yaml", ".yml"})
_HEAD_BYTES: Final = 16 * 1024


@dataclass(eq=False, kw_only=True)
class LibraryTooLargeError(CoordinationError):
    """A directory holds more files than anybody would look through."""

    code: ClassVar[str] = "library.too_large"

    directory: str

    def __str__(self) -> str:
        return (
            f"{self.directory} holds more than {FILES_MAX} YAML files, too many to look for "
            "definitions in; keep those in a directory of their own"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """What is known of one file; ``name`` is None where its first key tells none."""

    size: int
    changed_ns: int
    name: str | None


class FileLibrary:
    """The definitions in the files of directories, and in the folder `TEMPLATES` of each.

    Other folders in them are left alone. A file is known by what its first key says. Of several
    with one name the first counts, in the order of the directories, each before its templates,
    and in each in that of the file names. A directory that is not there is empty. Files are
    looked at again when their size or time changes. One whose beginning cannot be read is known
    by its file name, so that whoever asks for it learns what is wrong.
    """

    def __init__(self, directories: Iterable[Path]) -> None:
        """Look into ``directories``, but not before something is asked for."""
        self._directories = tuple(
            place for directory in directories for place in (directory, directory / TEMPLATES)
        )
        self._known: dict[Path, _Entry] = {}

    def find(self, name: str, *, version: int | None = None) -> Part | None:
        """See `Library.find`; a file is no version of anything.

        Raises:
            LibraryTooLargeError: a directory holds too many files.
        """
        if version is not None:
            return None
        nameless: list[Path] = []
        for path, entry in self._files():
            if entry.name == name:
                return _part(name, path)
            if entry.name is None and path.stem == name:
                nameless.append(path)
        return _part(name, nameless[0]) if nameless else None

    def names(self) -> Sequence[str]:
        """See `Library.names`.

        Raises:
            LibraryTooLargeError: a directory holds too many files.
        """
        return sorted({entry.name for _, entry in self._files() if entry.name is not None})

    def _files(self) -> Iterator[tuple[Path, _Entry]]:
        for directory in self._directories:
            for path in _yaml_files(directory):
                entry = self._entry(path)
                if entry is not None:
                    yield path, entry

    def _entry(self, path: Path) -> _Entry | None:
        try:
            found = path.stat()
            if not stat.S_ISREG(found.st_mode):
                return None
            known = self._known.get(path)
            if known and (known.size, known.changed_ns) == (found.st_size, found.st_mtime_ns):
                return known
            with path.open("rb") as file:
                head = file.read(_HEAD_BYTES)
        except OSError:
            return None
        kind, name = heading(plain_text(head))
        if kind is None and name is not None:
            return None
        entry = _Entry(size=found.st_size, changed_ns=found.st_mtime_ns, name=name)
        self._known[path] = entry
        return entry


def _yaml_files(directory: Path) -> list[Path]:
    try:
        paths = sorted(path for path in directory.iterdir() if path.suffix in _SUFFIXES)
    except OSError:
        return []
    if len(paths) > FILES_MAX:
        raise LibraryTooLargeError(directory=str(directory))
    return paths


def _part(name: str, path: Path) -> Part | None:
    """Return what a file holds, one byte more than may be at most; None if it is gone."""
    try:
        with path.open("rb") as file:
            raw = file.read(BYTES_MAX + 1)
    except OSError:
        return None
    # What is no UTF-8 is kept, for the reader to refuse.
    text = plain_text(raw.decode(errors="surrogateescape"))
    return Part(name=name, file=str(path), text=text)


class ChainedLibrary:
    """Several libraries as one: what is in an earlier one hides what later ones have."""

    def __init__(self, libraries: Iterable[Library]) -> None:
        """Look into ``libraries`` in their order."""
        self._libraries = tuple(libraries)

    def find(self, name: str, *, version: int | None = None) -> Part | None:
        """See `Library.find`."""
        found = (each.find(name, version=version) for each in self._libraries)
        return next((part for part in found if part is not None), None)

    def names(self) -> Sequence[str]:
        """See `Library.names`."""
        return sorted({name for each in self._libraries for name in each.names()})

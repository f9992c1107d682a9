"""Configuration: read once at the start, typed, and passed on as plain arguments."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from test_coordination.domain.errors import CoordinationError, suggestion

PREFIX: Final = "TCOORD_"
NAMES: Final = frozenset(
    {"allowed_env", "allowed_python", "home", "library", "postgres_url", "redis_url", "topology"}
)
_VARIABLE: Final = re.compile("[A-Za-z_][A-Za-z0-9_]*")
_PACKAGE: Final = re.compile(rf"\*|{_VARIABLE.pattern}(?:\.{_VARIABLE.pattern})*")
_LISTS: Final = {
    "allowed_env": (_VARIABLE, "variable", "REGION,BUILD"),
    "allowed_python": (_PACKAGE, "package", "shop_checks,acme.chaos"),
}
ROOT_HOME: Final = Path("/var/lib/test-coordinator")


@dataclass(eq=False, kw_only=True)
class InvalidSettingsError(CoordinationError):
    """The configuration file, or a variable that stands for a line of it, cannot be used."""

    code: ClassVar[str] = "settings.invalid"

    file: str
    cause: str

    def __str__(self) -> str:
        return f"{self.file}: {self.cause}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What an operator may decide.

    ``home`` is where embedded servers and the state of systems under test are kept. Without
    ``postgres_url`` an embedded PostgreSQL and Valkey run there; with it, and without
    ``redis_url``, there is no live view but the log itself. ``allowed_env`` names the variables
    of the environment that definitions may see, ``allowed_python`` the packages and modules of
    which definitions may call functions, ``*`` for all. ``library`` are directories in which
    definitions are looked for by name, in their order. URLs may hold passwords: they are left out
    of this value's text.
    """

    home: Path
    postgres_url: str | None = None
    redis_url: str | None = None
    topology: Path | None = None
    allowed_env: tuple[str, ...] = ()
    allowed_python: tuple[str, ...] = ()
    library: tuple[Path, ...] = ()

    def __repr__(self) -> str:
        return f"Settings(home={self.home}, topology={self.topology})"

    @property
    def embedded(self) -> bool:
        """Tell whether the servers are ours to start."""
        return self.postgres_url is None

    def visible(self, environment: Mapping[str, str]) -> Mapping[str, str]:
        """Return what definitions may see of ``environment``: what is allowed, and is set."""
        return {name: environment[name] for name in self.allowed_env if name in environment}

    @classmethod
    def read(cls, environment: Mapping[str, str], *, user: int) -> Settings:
        """Read ``TCOORD_*`` variables over the TOML file that ``TCOORD_CONFIG`` names.

        ``user`` is the effective user id: the superuser's home is one that the account which
        its servers run as can reach.

        Raises:
            InvalidSettingsError: the file is missing, malformed, or has an unknown key; or a
                name among ``allowed_env`` or ``allowed_python`` can be none.
        """
        file = environment.get(f"{PREFIX}CONFIG")
        given = dict(_from_file(Path(file))) if file else {}
        for name in NAMES:
            value = environment.get(f"{PREFIX}{name.upper()}")
            if value:
                given[name] = value
        home = given.get("home")
        topology = given.get("topology")
        return cls(
            home=Path(home).expanduser() if home else _home(environment, user),
            postgres_url=given.get("postgres_url"),
            redis_url=given.get("redis_url"),
            topology=Path(topology).expanduser() if topology else None,
            library=tuple(
                Path(directory).expanduser()
                for directory in given.get("library", "").split(":")
                if directory
            ),
            allowed_env=_names(given, "allowed_env", file=file),
            allowed_python=_names(given, "allowed_python", file=file),
        )


def _names(given: Mapping[str, str], setting: str, *, file: str | None) -> tuple[str, ...]:
    pattern, noun, examples = _LISTS[setting]
    names = tuple(dict.fromkeys(filter(None, map(str.strip, given.get(setting, "").split(",")))))
    for name in names:
        if pattern.fullmatch(name) is None:
            cause = (
                f"{setting} names {name!r}, which is no {noun}; expected names such as "
                f"{examples}, with commas between them"
            )
            raise InvalidSettingsError(file=file or f"{PREFIX}{setting.upper()}", cause=cause)
    return names


def _home(environment: Mapping[str, str], user: int) -> Path:
    if user == 0:
        return ROOT_HOME
    data = environment.get("XDG_DATA_HOME")
    base = Path(data) if data else Path(environment.get("HOME", "/tmp")) / ".local/share"  # noqa: S108  only where there is no home at all
    return base / "test-coordinator"


def _from_file(path: Path) -> Mapping[str, str]:
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        cause = f"it cannot be read ({error.strerror}); TCOORD_CONFIG names it"
        raise InvalidSettingsError(file=str(path), cause=cause) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidSettingsError(file=str(path), cause=f"it is no TOML: {error}") from error
    for name, value in found.items():
        if name not in NAMES:
            cause = f"no setting is named {name!r}; {suggestion(name, NAMES)}"
            raise InvalidSettingsError(file=str(path), cause=cause)
        if not isinstance(value, str):
            cause = f"{name} is {value!r}; expected a text in quotes"
            raise InvalidSettingsError(file=str(path), cause=cause)
    return found

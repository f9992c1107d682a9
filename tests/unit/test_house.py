"""The rules of the house that no linter knows."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import test_coordination
from test_coordination.domain.errors import CoordinationError

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src/test_coordination"
FOLDERS = ("src", "tests", "examples", "benchmarks")
FILES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
MODULES = sorted(path for path in SOURCE.rglob("*.py") if path.name != "__init__.py")
LINES_MAX = 400
FUNCTION_LINES_MAX = 60
CODE = re.compile(r"[a-z_]+\.[a-z_0-9]+")
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|NotImplementedError\b")


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def every_error(
    kind: type[CoordinationError] = CoordinationError,
) -> Iterator[type[CoordinationError]]:
    for found in pkgutil.walk_packages(test_coordination.__path__, "test_coordination."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)
    stack = [kind]
    while stack:
        for each in stack.pop().__subclasses__():
            yield each
            stack.append(each)


ERRORS = sorted(set(every_error()), key=lambda error: error.__qualname__)


@pytest.mark.parametrize("path", FILES, ids=name)
def test_a_file_is_short_and_so_are_its_functions(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)

    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    long = [
        f.name for f in functions if f.end_lineno and f.end_lineno - f.lineno >= FUNCTION_LINES_MAX
    ]
    assert len(text.splitlines()) < LINES_MAX
    assert not long


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_module_hides_nothing_from_the_running_program(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    classes = [node.name for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ClassDef)]

    assert "TYPE_CHECKING" not in text
    assert not UNFINISHED.search(text)
    collected = [kind for kind in classes if kind.startswith("Test")]
    assert collected in ([], ["TestReport"]), "pytest would collect it"


@pytest.mark.parametrize(
    "path", sorted(set(SOURCE.rglob("__init__.py")) - {SOURCE / "__init__.py"}), ids=name
)
def test_a_package_file_holds_its_docstring_only(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))

    assert ast.get_docstring(tree)
    assert len(tree.body) == 1


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__qualname__)
def test_an_error_has_a_code_of_its_own_and_a_text(error: type[CoordinationError]) -> None:
    sharing = [other for other in ERRORS if "code" in vars(other) and other.code == error.code]

    assert error.__name__.endswith("Error")
    assert CODE.fullmatch(error.code)
    assert len(sharing) <= 1
    assert error.__str__ is not CoordinationError.__str__


def test_an_error_ends_in_error_and_nothing_else_does() -> None:
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and node.name.endswith("Error"):
                bases = {ast.unparse(base) for base in node.bases}
                assert any(base.endswith(("Error", "Exception")) for base in bases), node.name


def test_the_public_names_and_their_stub_agree() -> None:
    stub = ast.parse((SOURCE / "__init__.pyi").read_text(encoding="utf-8"))
    listed = next(
        ast.literal_eval(node.value)
        for node in stub.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    )

    assert sorted(listed) == sorted(test_coordination.__all__)
    for each in listed:
        assert getattr(test_coordination, each) is not None


def test_whoever_ignores_a_rule_says_why() -> None:
    lines = (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    start = lines.index("ignore = [")
    ignored = lines[start + 1 : lines.index("]", start)]

    assert all("#" in line for line in ignored)
    bare = re.compile(r"#\s*(noqa|type: ignore)(?!\S*[:\[])")
    for path in FILES:
        assert not bare.search(path.read_text(encoding="utf-8").replace(bare.pattern, "")) or (
            path == Path(__file__)
        ), path


def test_what_is_installed_is_pinned_by_hash() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pinned = (ROOT / "requirements/run.txt").read_text(encoding="utf-8")

    for dependency in project["dependencies"]:
        wanted = re.split(r"[\[<>=;]", dependency)[0].strip()
        assert re.search(rf"(?mi)^{re.escape(wanted)}==\S+ .*\\$", pinned), wanted
    assert "--hash=sha256:" in pinned
    assert "://" not in re.sub(r"(?m)^\s*#.*$", "", pinned)

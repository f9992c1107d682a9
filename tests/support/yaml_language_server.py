"""What an editor sees: a real yaml-language-server, driven over its own protocol.

The server stands in the directory that TCOORD_TEST_YAML_SERVER names, else in
build/yaml-language-server, where npm has put it; Node runs it. It is told to use no catalogue of
schemas, so it asks nothing of any network. Lines and columns count from 1, columns in code points.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import anyio
import anyio.abc
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream

ROOT: Final = Path(__file__).parents[2]
PROGRAM: Final = Path("node_modules/yaml-language-server/bin/yaml-language-server")
WAIT_S_MAX: Final = 30
HEADER_BYTES_MAX: Final = 1024
SAID_CHARACTERS_MAX: Final = 2000
GONE: Final = (
    anyio.EndOfStream,
    anyio.IncompleteRead,
    anyio.BrokenResourceError,
    anyio.ClosedResourceError,
)

Message: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    """One squiggle: where it begins, and what it says."""

    line: int
    column: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """One entry of the list that an editor offers; ``inserts`` is what choosing it writes."""

    label: str
    inserts: str
    documentation: str


def installed() -> tuple[str, str]:
    """Return the command that starts the server, or skip (fail, where tests must run)."""
    node = shutil.which("node")
    named = os.environ.get("TCOORD_TEST_YAML_SERVER")
    program = Path(named or ROOT / "build/yaml-language-server") / PROGRAM
    if node is not None and program.is_file():
        return node, str(program)
    missing = "node is not on the PATH" if node is None else f"there is no {program}"
    reason = (
        f"no yaml-language-server can be started: {missing}; .ci/run shows how to install it, "
        "and TCOORD_TEST_YAML_SERVER may name another directory to find it in"
    )
    if os.environ.get("TCOORD_TEST_MUST_RUN") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


class Wire:
    """The client's end of the protocol; the server is heard only while we wait for something."""

    def __init__(self, process: anyio.abc.Process, *, settings: Message, errors: Path) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._to = process.stdin
        self._from = BufferedByteReceiveStream(process.stdout)
        self._settings = settings
        self._errors = errors
        self._numbers = itertools.count(1)
        self._answers: dict[int, Message] = {}
        self._told: list[Message] = []

    async def ask(self, method: str, **parameters: object) -> Any:
        """Return the server's answer to a request."""
        number = next(self._numbers)
        with self._waiting(f"an answer to {method}"):
            await self._send({"id": number, "method": method, "params": parameters})
            while number not in self._answers:
                await self._hear()
        answer = self._answers.pop(number)
        assert "error" not in answer, f"the server refused {method}: {answer['error']}"
        return answer["result"]

    async def tell(self, method: str, **parameters: object) -> None:
        """Send a notification."""
        with self._waiting(f"{method} to be taken"):
            await self._send({"method": method, "params": parameters})

    async def told(self, method: str, **facts: object) -> Message:
        """Wait until the server has sent this notification with these parameters; return all."""
        with self._waiting(f"{method} {facts or ''}"):
            while (found := self.told_already(method, **facts)) is None:
                await self._hear()
        return found

    def told_already(self, method: str, **facts: object) -> Message | None:
        """Return the last such notification's parameters, if there was one."""
        for message in reversed(self._told):
            parameters: Message = message.get("params") or {}
            if message["method"] == method and facts.items() <= {**parameters}.items():
                return parameters
        return None

    @contextmanager
    def _waiting(self, what: str) -> Generator[None]:
        try:
            with anyio.fail_after(WAIT_S_MAX):
                yield
        except TimeoutError:
            text = f"waited {WAIT_S_MAX} s for {what}; {self._said()}"
            raise AssertionError(text) from None
        except GONE as error:
            text = f"the server went away while we waited for {what}; {self._said()}"
            raise AssertionError(text) from error

    def _said(self) -> str:
        errors = self._errors.read_text(errors="replace").strip()[-SAID_CHARACTERS_MAX:]
        log = [
            message["params"] for message in self._told if message["method"].startswith("window/")
        ]
        return f"its standard error: {errors or 'nothing'}; its log: {log or 'nothing'}"

    async def _send(self, message: Message) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        await self._to.send(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))

    async def _hear(self) -> None:
        header = await self._from.receive_until(b"\r\n\r\n", HEADER_BYTES_MAX)
        length = re.search(rb"Content-Length: (\d+)", header)
        assert length is not None, f"the server sent what is no message: {header!r}"
        message: Message = json.loads(await self._from.receive_exactly(int(length[1])))
        if "method" not in message:
            self._answers[message["id"]] = message
        elif "id" in message:
            await self._send({"id": message["id"], "result": self._answer(message)})
        else:
            self._told.append(message)

    def _answer(self, request: Message) -> list[object] | None:
        if request["method"] != "workspace/configuration":
            return None
        wanted = request["params"]["items"]
        return [self._settings.get(item["section"], {}) for item in wanted]


class OpenFile:
    """A text in the editor; ``diagnostics`` is all that the server found in it."""

    def __init__(self, wire: Wire, *, uri: str, text: str, found: list[Message]) -> None:
        self._wire = wire
        self._uri = uri
        self._lines = text.split("\n")
        self.diagnostics = tuple(self._diagnostic(each) for each in found)

    async def suggestions(self, *, line: int, column: int) -> tuple[Suggestion, ...]:
        """Return what is offered to someone whose cursor stands before that place."""
        found = await self._ask("textDocument/completion", line, column)
        items = found["items"] if isinstance(found, dict) else found or ()
        return tuple(_suggestion(item) for item in items)

    async def hover(self, *, line: int, column: int) -> str:
        """Return what is told to someone who points at that place; empty if it is nothing."""
        found = await self._ask("textDocument/hover", line, column)
        return str(found["contents"]["value"]) if found else ""

    async def _ask(self, method: str, line: int, column: int) -> Any:
        before = self._lines[line - 1][: column - 1]
        place = {"line": line - 1, "character": len(before.encode("utf-16-le")) // 2}
        return await self._wire.ask(method, textDocument={"uri": self._uri}, position=place)

    def _diagnostic(self, found: Message) -> Diagnostic:
        start = found["range"]["start"]
        before = self._lines[start["line"]].encode("utf-16-le")[: start["character"] * 2]
        return Diagnostic(
            line=start["line"] + 1,
            column=len(before.decode("utf-16-le")) + 1,
            text=found["message"],
        )


def _suggestion(item: Message) -> Suggestion:
    told = item.get("documentation") or ""
    return Suggestion(
        label=item["label"],
        inserts=(item.get("textEdit") or {}).get("newText") or item.get("insertText") or "",
        documentation=told["value"] if isinstance(told, dict) else told,
    )


class Editor:
    """An editor with a folder of files, none of which need ever be written."""

    def __init__(self, wire: Wire, folder: Path) -> None:
        self._wire = wire
        self._folder = folder
        self._numbers = itertools.count(1)

    async def open(self, text: str, *, name: str = "") -> OpenFile:
        """Open ``text`` as a new file, and wait for what the server says of it.

        No two files may have the same ``name``; left out, one that ends in ``.yaml`` is made up.
        """
        uri = (self._folder / (name or f"file-{next(self._numbers)}.yaml")).as_uri()
        method = "textDocument/publishDiagnostics"
        assert self._wire.told_already(method, uri=uri) is None, f"{name} was opened before"
        file = {"uri": uri, "languageId": "yaml", "version": 1, "text": text}
        await self._wire.tell("textDocument/didOpen", textDocument=file)
        found = await self._wire.told(method, uri=uri)
        return OpenFile(self._wire, uri=uri, text=text, found=found["diagnostics"])


@asynccontextmanager
async def editing(folder: Path, *, schemas: Mapping[Path, str]) -> AsyncGenerator[Editor]:
    """Lend an editor on ``folder``, with a server of its own that is gone at the end.

    ``schemas`` tells the files that each schema is for: ``{path: "*.yaml"}``. A file that names
    its schema in a comment, relative to ``folder``, needs no entry.
    """
    associations = {path.resolve().as_uri(): pattern for path, pattern in schemas.items()}
    offline = {"schemaStore": {"enable": False}, "kubernetesCRDStore": {"enable": False}}
    settings = {"yaml": {"schemas": associations, **offline}}
    errors = folder / "yaml-language-server.err"
    command = [*installed(), "--stdio"]
    with errors.open("wb") as stderr:
        async with await anyio.open_process(command, stderr=stderr) as process:
            try:
                wire = Wire(process, settings=settings, errors=errors)
                await _begin(wire)
                yield Editor(wire, folder)
                await _end(wire, process)
            finally:
                with suppress(ProcessLookupError):
                    process.kill()


async def _begin(wire: Wire) -> None:
    completion = {"completionItem": {"documentationFormat": ["plaintext"]}}
    capabilities = {
        "workspace": {"configuration": True},
        "textDocument": {"completion": completion},
    }
    await wire.ask("initialize", processId=os.getpid(), rootUri=None, capabilities=capabilities)
    await wire.tell("initialized")
    # Whoever says that it lets its user select schemas is told when the settings have been taken;
    # what is opened earlier may be looked at without them.
    await wire.tell("yaml/supportSchemaSelection")
    await wire.told("yaml/schema/store/initialized")


async def _end(wire: Wire, process: anyio.abc.Process) -> None:
    await wire.ask("shutdown")
    await wire.tell("exit")
    with anyio.fail_after(WAIT_S_MAX):
        await process.wait()

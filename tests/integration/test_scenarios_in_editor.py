"""What an author's editor says of scenarios, with the schema that is shipped."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from support.decoding import GOOD, ROOT
from support.yaml_language_server import Editor, editing

SCHEMA = ROOT / "docs" / "reference" / "scenario.schema.json"
TOPOLOGY = ROOT / "docs" / "reference" / "topology.schema.json"
HEAD = "scenario: outage\nversion: 1\n"
FAULT = f"{HEAD}steps:\n  - fault: service.stop\n    target: exchange\n    hold: 5s\n"


@pytest.fixture
async def editor(tmp_path: Path) -> AsyncGenerator[Editor]:
    schemas = {SCHEMA: "*.yaml", TOPOLOGY: "topology.yml"}
    async with editing(tmp_path, schemas=schemas) as opened:
        yield opened


async def offered(editor: Editor, text: str) -> list[str]:
    """Return what is offered where ``|`` stands in ``text``."""
    before = text.partition("|")[0]
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    file = await editor.open(text.replace("|", "", 1))
    return [one.label for one in await file.suggestions(line=line, column=column)]


async def told(editor: Editor, text: str) -> list[tuple[int, int, str]]:
    file = await editor.open(text)
    return [(one.line, one.column, one.text) for one in file.diagnostics]


@pytest.mark.parametrize("path", sorted((ROOT / "scenarios").rglob("*.yaml")), ids=lambda p: p.stem)
async def test_a_shipped_scenario_is_left_in_peace(editor: Editor, path: Path) -> None:
    assert await told(editor, path.read_text(encoding="utf-8")) == []


async def test_a_topology_is_checked_by_a_schema_of_its_own(editor: Editor) -> None:
    text = (GOOD / "topology.yaml").read_text(encoding="utf-8")
    good = await editor.open(text, name="topology.yml")

    assert good.diagnostics == ()


async def test_a_key_that_nothing_has_is_pointed_out(editor: Editor) -> None:
    top = await told(editor, f"{HEAD}stepps: []\nsteps:\n  - wait: 5s\n")
    step = await told(editor, f"{FAULT}    tittle: Stop it\n")

    assert top == [(3, 1, "Property stepps is not allowed.")]
    assert step == [(7, 5, "Property tittle is not allowed.")]


async def test_a_fault_that_there_is_not_is_pointed_out_with_those_there_are(
    editor: Editor,
) -> None:
    [(line, column, text)] = await told(editor, FAULT.replace("service.stop", "service.sotp"))

    assert (line, column) == (4, 12)
    assert '"service.stop", "service.kill"' in text


async def test_a_fault_has_its_own_parameters_and_no_others(editor: Editor) -> None:
    good = await told(editor, f"{FAULT}    with: {{grace: 2s}}\n")
    other = await told(editor, f"{FAULT}    with: {{delay: 2s}}\n")
    wrong = await told(editor, f"{FAULT}    with: {{grace: 2}}\n")

    assert good == []
    assert other == [(7, 12, "Property delay is not allowed.")]
    assert [(line, column) for line, column, _ in wrong] == [(7, 19)]


async def test_what_is_missing_is_pointed_out_where_it_is_missed(editor: Editor) -> None:
    latency = "  - fault: latency\n    target: bank\n    hold: 5s\n"

    assert await told(editor, "scenario: a\nsteps:\n  - wait: 5s\n") == [
        (1, 1, 'Missing property "version".')
    ]
    assert await told(editor, f"{HEAD}steps:\n  - fault: service.stop\n    hold: 5s\n") == [
        (4, 5, 'Missing property "target".')
    ]
    assert await told(editor, f"{HEAD}steps:\n{latency}") == [(4, 5, 'Missing property "with".')]
    assert await told(editor, f"{HEAD}steps:\n{latency}    with:\n      jitter: 1s\n") == [
        (7, 5, 'Missing property "delay".')
    ]


async def test_what_is_wrong_with_a_value_is_said_in_our_words(editor: Editor) -> None:
    [(line, column, text)] = await told(editor, FAULT.replace("5s", "5 seconds"))

    assert (line, column) == (6, 11)
    assert text.startswith("this must be a duration such as 250ms")
    assert await told(editor, "title: An outage\n") == [
        (1, 1, "the first key says what the document is: scenario, template or suite")
    ]


async def test_what_is_inherited_is_not_missed(editor: Editor) -> None:
    child = f"{HEAD}extends: service-restart\nsteps:\n  - id: stop\n    hold: 10s\n"

    assert await told(editor, child) == []
    assert await told(editor, child.replace("extends: service-restart\n", "")) != []


async def test_the_keys_of_a_document_and_of_a_step_are_offered(editor: Editor) -> None:
    assert await offered(editor, "|") == ["scenario", "template", "suite"]
    assert {"extends", "probes", "steps", "timeout"} < {*await offered(editor, f"{HEAD}|")}
    assert "replace" not in await offered(editor, f"{HEAD}steps:\n  - id: a\n    |")
    step = {*await offered(editor, f"{HEAD}steps:\n  - |")}
    assert {"fault", "action", "wait", "expect", "parallel", "id", "needs", "if"} < step
    fault = {*await offered(editor, f"{HEAD}steps:\n  - fault: service.stop\n    |")}
    assert {"target", "hold", "with", "repeat", "on_error"} < fault
    assert not {"within", "severity", "action", "ramp"} & fault


async def test_faults_actions_and_words_are_offered(editor: Editor) -> None:
    faults = await offered(editor, f"{HEAD}steps:\n  - fault: |")
    actions = await offered(editor, f"{HEAD}steps:\n  - action: |")
    words = await offered(editor, f"{HEAD}steps:\n  - expect: 1 < 2\n    severity: |")

    assert {"service.stop", "service.kill", "latency"} <= {*faults}
    assert "http.post" in actions
    assert "http.post" not in faults
    assert words == ["critical", "normal", "info"]


async def test_the_parameters_of_a_fault_are_offered_and_not_those_of_others(
    editor: Editor,
) -> None:
    stop = await offered(editor, f"{FAULT}    with:\n      |")
    slow = await offered(editor, FAULT.replace("service.stop", "latency") + "    with:\n      |")

    assert stop == ["grace"]
    assert {"delay", "jitter", "direction"} < {*slow}
    assert "grace" not in slow


async def test_the_kinds_of_probes_are_offered(editor: Editor) -> None:
    keys = await offered(editor, f"{HEAD}probes:\n  latency:\n    |")

    assert keys == ["http", "sql", "process", "python", "every", "timeout"]


async def test_a_key_that_is_pointed_at_is_explained(editor: Editor) -> None:
    file = await editor.open(f"{FAULT}    with:\n      grace: 2s\n")

    fault, hold, given, grace = [
        await file.hover(line=line, column=column)
        for line, column in ((4, 6), (6, 6), (7, 6), (8, 8))
    ]

    assert "the fault to be injected" in fault
    assert "* `service.kill`: kill a service at once" in fault
    assert "how long it lasts, from its confirmed injection" in hold
    assert "more than 0s and at most 1d" in hold
    assert "the parameters of service.stop" in given
    assert "how long the service may take to end by itself" in grace

"""Functions of Python as scenarios call them: planned, run, recorded, and kept from what is not."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from support.target_systems import server, system
from test_coordination.adapters.documents.definitions import DefinitionReader
from test_coordination.adapters.isolation.calls import Allowance, PythonCalls
from test_coordination.adapters.links.keeper import LinkKeeper
from test_coordination.adapters.secrets import KeptSecrets
from test_coordination.adapters.targets.process import ProcessServices
from test_coordination.application.capabilities import Catalogue
from test_coordination.application.coordinator import Coordinator
from test_coordination.application.lending import coordinating
from test_coordination.application.routing import missing, offered
from test_coordination.authoring import AuthorsDesk
from test_coordination.domain.errors import InvalidDocumentError
from test_coordination.domain.events import Outcome
from test_coordination.domain.execution import Execution
from test_coordination.domain.failures import ErrorClass, classify
from test_coordination.domain.values import StepId
from test_coordination.domain.verdicts import Verdict
from test_coordination.kinds import catalogue
from test_coordination.settings import Settings

pytestmark = pytest.mark.anyio
STORY = """
scenario: functions
version: 1
parameters: {{token: {{type: secret, default: env:TOKEN}}}}
probes:
  lost: {{python: "support.python_victims:Orders.lost", every: 500ms}}
steps:
  - id: deed
    action: python
    with: {{call: "support.python_victims:{function}", arguments: {{{arguments}}}, timeout: 10s}}
  - id: well
    expect: steps.deed.result.value.sum == 3 && probes.lost.last.value == 7
    within: 10s
"""


def known(*allowed: str) -> Catalogue:
    """Return all kinds, where functions of ``allowed`` packages may be called."""
    functions = PythonCalls(Allowance(packages=allowed))
    return catalogue(LinkKeeper(), ProcessServices(), functions)


@asynccontextmanager
async def coordinator(tmp_path: Path, *allowed: str) -> AsyncGenerator[Coordinator]:
    """Lend a coordinator on memory that may call functions of ``allowed`` packages."""
    world = AuthorsDesk(Settings(home=tmp_path)).world(system(tmp_path, server("exchange")))
    kinds = known(*allowed)
    secrets = KeptSecrets({"TOKEN": "hunter-2000"}, directory=tmp_path)
    reader = DefinitionReader(kinds, world.expressions)
    async with coordinating(
        replace(world, catalogue=kinds, secrets=secrets, reader=reader)
    ) as lent:
        yield lent


async def run(lent: Coordinator, function: str, arguments: str) -> Execution:
    text = STORY.format(function=function, arguments=arguments)
    scenario = await lent.create_scenario(text)
    return await lent.execution_result(await lent.execute_scenario(scenario))


async def test_what_functions_return_can_be_asked_for(tmp_path: Path) -> None:
    async with coordinator(tmp_path, "support") as lent:
        ended = await run(lent, "add", "a: 2")

    deed = ended.steps[StepId("deed")]
    assert ended.verdict is Verdict.HELD
    assert deed.facts["value"] == {"sum": 3}
    assert deed.facts.keys() == {"value", "ms"}


async def test_a_function_is_given_a_secret_and_nobody_else_sees_it(tmp_path: Path) -> None:
    async with coordinator(tmp_path, "support") as lent:
        ended = await run(lent, "cancel", 'order: "${{ parameters.token }}"')

    deed = ended.steps[StepId("deed")]
    assert deed.outcome is Outcome.FAILED
    assert "raised ValueError: no order" in deed.error
    assert "hunter" not in repr(ended)


async def test_what_a_function_did_that_was_ended_is_not_known(tmp_path: Path) -> None:
    text = STORY.format(function="hide", arguments=f"note: {tmp_path / 'note'}")
    async with coordinator(tmp_path, "support") as lent:
        scenario = await lent.create_scenario(text.replace("10s}", "500ms}"))
        ended = await lent.execution_result(await lent.execute_scenario(scenario))

    deed = ended.steps[StepId("deed")]
    assert deed.error == (
        "python: support.python_victims:hide did not return within 500ms and was ended; whether "
        "it took effect is not known"
    )
    assert classify(deed.code) is ErrorClass.UNKNOWN_OUTCOME
    assert ended.verdict is Verdict.INCONCLUSIVE


async def test_what_may_not_be_called_is_refused_before_anything_runs(tmp_path: Path) -> None:
    async with coordinator(tmp_path, "shop_checks") as lent:
        with pytest.raises(InvalidDocumentError) as refused:
            await run(lent, "add", "a: 2")

    assert str(refused.value).count("'support.python_victims' may not be called here") == 2


async def test_what_is_left_to_workers_goes_where_its_functions_may_be_called(
    tmp_path: Path,
) -> None:
    async with coordinator(tmp_path, "support") as lent:
        scenario = await lent.create_scenario(STORY.format(function="add", arguments="a: 2"))
        ordered = await lent.execute_scenario(scenario, detached=True)
        record = await lent.execution_record(ordered)

    allowed, narrow = (
        offered(known(each), system(tmp_path, server("exchange")))
        for each in ("support", "shop_checks")
    )
    assert "python support.python_victims" in record.requires
    assert missing(record.requires, allowed) == frozenset()
    assert missing(record.requires, narrow) == {"python support.python_victims"}

"""Puts together what the engine needs to carry out one execution."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

from test_coordination.application.engine.checks import Bench
from test_coordination.application.engine.children import Children
from test_coordination.application.engine.hands import Hands
from test_coordination.application.engine.lease import Hold
from test_coordination.application.engine.observations import Observations
from test_coordination.application.engine.patience import patiently
from test_coordination.application.engine.recorder import Recorder
from test_coordination.application.engine.vault import Vault
from test_coordination.application.gathering import Loaded
from test_coordination.application.planning.known import results, shapes
from test_coordination.application.ports import NotFoundError
from test_coordination.application.world import World
from test_coordination.domain.arguments import bind
from test_coordination.domain.names import copy_names, live_names, settled_names, settled_values
from test_coordination.domain.plan import Plan
from test_coordination.domain.secrets import SecretUnavailableError


def equip(
    world: World,
    loaded: Loaded,
    plan: Plan,
    *,
    hold: Hold,
    recorder: Recorder,
    vault: Vault,
    children: Children,
) -> Hands:
    """Return the hands with which ``plan``, made of the scenario in ``loaded``, is carried out.

    What expressions see of parameters is taken from the plan, which holds every one of them.

    Raises:
        DefinitionKindError: it is no scenario.
        NoTopologyError: there is no system under test.
        InvalidDocumentError: the plan's parameters are not those of the scenario any more.
    """
    scenario = loaded.scenario
    topology = world.topology(doing=f"running {scenario.name!r}")
    probes = shapes(scenario, world.catalogue)
    arguments = bind(
        scenario.parameters,
        plan.parameters,
        mark=scenario.mark,
        services=frozenset(topology.services),
    )
    observations = Observations(
        settled_values(scenario.parameters, arguments, topology, world.environment),
        probes,
        plan=plan,
        state=lambda: recorder.state,
        clock=world.stores.clock,
    )
    recorder.tell(observations.refresh)
    bench = Bench(
        expressions=world.expressions,
        names={
            **settled_names(scenario.parameters, topology, world.environment),
            **live_names(scenario, probes, results(world.catalogue)),
            **copy_names((*plan.groups, *(step.id for step in plan.steps))),
        },
        observations=observations,
        clock=world.stores.clock,
    )
    return Hands(
        hold=hold,
        plan=plan,
        children=children,
        probing=world.probing(topology, vault),
        evidence=world.evidence,
        camera=world.camera(topology, vault),
        bench=bench,
        recorder=recorder,
    )


def hide(hands: Hands) -> None:
    """Hide from now on what other workers used of secrets in an execution."""
    for step in hands.plan.steps:
        used = step.fault or step.action or step.probe
        if used is not None and step.id in hands.recorder.state.steps:
            with suppress(SecretUnavailableError):
                hands.vault.reveal(used.parameters)


async def recall(hands: Hands) -> None:
    """Make known what other workers saw of an execution that is to be carried on.

    Raises:
        StoreUnavailableError: the store was away for longer than ``STORE_PATIENCE``.
    """
    state, evidence, observations = hands.recorder.state, hands.evidence, hands.bench.observations
    doing, now = f"recalling what was seen of execution {state.id}", hands.bench.clock.now()
    for sample in await patiently(partial(evidence.samples, state.id), doing=doing):
        # Of a worker whose clock is ahead of ours: those that we take would come before it.
        if sample.at < now:
            observations.add(sample)
    for step_id, taken in state.snapshots.items():
        with suppress(NotFoundError):
            found = await patiently(partial(evidence.snapshot, taken), doing=doing)
            observations.add_snapshot(step_id, found)

"""What an execution claims, and how much of the system its faults may hit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from test_coordination.application.planning.settle import Settler
from test_coordination.domain.errors import suggestion
from test_coordination.domain.plan import Claims, PlannedStep
from test_coordination.domain.scenario import BlastRadius, Resources
from test_coordination.domain.topology import Topology
from test_coordination.domain.values import ServiceName


def claims(resources: Resources, steps: Iterable[PlannedStep], settler: Settler) -> Claims:
    """Return what the author claims, and the services and links that faults are aimed at.

    What another scenario claims that runs as a step is claimed by the whole. Something that is
    claimed for itself need not be shared, too. Slots that there cannot be are a problem.
    """
    exclusive = {*map(settler.text, resources.exclusive)}
    shared = {*map(settler.text, resources.shared)}
    pools = dict(resources.pools)
    for step in steps:
        exclusive.update(_touched(step, settler.topology))
        if step.scenario is not None:
            inner = step.scenario.plan.claims
            exclusive.update(inner.exclusive)
            shared.update(inner.shared)
            for name, slots in inner.pools.items():
                pools[name] = max(slots, pools.get(name, 0))
    _refuse_slots(resources.pools, settler)
    sizes = settler.topology.pools
    return Claims(
        exclusive=tuple(sorted(exclusive)),
        shared=tuple(sorted(shared - exclusive)),
        pools=pools,
        sizes={name: sizes[name] for name in pools if name in sizes},
    )


def _refuse_slots(pools: Mapping[str, int], settler: Settler) -> None:
    sizes, system = settler.topology.pools, settler.topology.name
    for name, slots in pools.items():
        if name not in sizes:
            known = f"; {suggestion(name, frozenset(sizes))}" if sizes else ""
            text = f"the topology {system!r} has no pool named {name!r}{known}: say there how many "
            text += f"slots it has, such as pools: {{{name}: {slots}}}"
            settler.refuse(settler.mark, "plan.unknown_pool", text)
        elif slots > sizes[name]:
            text = f"{slots} slots of the pool {name!r} are taken, which has {sizes[name]} in the "
            text += f"topology {system!r}; take fewer, or give it more"
            settler.refuse(settler.mark, "plan.pool_too_small", text)


def _touched(step: PlannedStep, topology: Topology) -> Iterator[str]:
    if step.fault is None:
        return
    yield f"service/{step.fault.service}"
    link = step.fault.parameters.get("link")
    if isinstance(link, str) and link in topology.links:
        yield f"link/{link}"


def hit(steps: Iterable[PlannedStep]) -> frozenset[ServiceName]:
    """Return the services that faults hit, those of scenarios that run as steps included."""
    found: set[ServiceName] = set()
    for step in steps:
        if step.fault is not None:
            found.add(step.fault.service)
        if step.scenario is not None:
            found |= hit(step.scenario.plan.steps)
    return frozenset(found)


def refuse_excess(
    radius: BlastRadius | None, steps: Iterable[PlannedStep], settler: Settler
) -> None:
    """Note a problem if faults hit more services than ``radius`` allows."""
    services = sorted(hit(steps))
    if radius is None or not services:
        return
    total = len(settler.topology.services)
    found = f"faults hit {len(services)} of {total} services ({', '.join(services)})"
    hint = "aim at fewer, or raise the limit"
    if radius.services is not None and len(services) > radius.services:
        text = f"{found}; expected {radius.services} at most: {hint}"
        settler.refuse(radius.mark, "plan.blast_radius", text)
    if radius.percent is not None and len(services) * 100 > radius.percent * total:
        text = f"{found}; expected {radius.percent:g}% at most: {hint}"
        settler.refuse(radius.mark, "plan.blast_radius", text)


def refuse_without_budget(steps: Iterable[PlannedStep], settler: Settler) -> None:
    """Note a problem if there are faults, and the topology's budget is too small for any."""
    topology = settler.topology
    radius = topology.blast_radius
    if radius is None or topology.services_max != 0 or not hit(steps):
        return
    text = f"faults may hit {radius.percent:g}% of the {len(topology.services)} services of "
    text += f"{topology.name!r} at a time, which is none; raise the limit at {radius.mark}"
    settler.refuse(settler.mark, "plan.blast_radius", text)

"""Choose the services that a fault is aimed at, and remember how the choice fell."""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction

from test_coordination.application.planning import seeds
from test_coordination.application.planning.settle import Settler
from test_coordination.domain.plan import Choice
from test_coordination.domain.steps import Otherwise, Quota, Selector
from test_coordination.domain.topology import Service
from test_coordination.domain.values import ServiceName, StepId


def choose(selector: Selector, step: StepId, settler: Settler, *, seed: int) -> Choice:
    """Return which services ``selector`` means for ``step``, in the order of their names.

    ``seed`` counts where the selector has none of its own. Where nothing is found and that is
    not meant to be skipped, a problem is noted.
    """
    own = selector.seed if selector.seed is not None else seed
    candidates = sorted(_candidates(selector, step, settler))
    if not candidates and selector.none is not Otherwise.SKIP:
        text = (
            f"step {step!r} finds no service to aim at; ask for fewer tags, exclude less, or "
            "write 'none: skip' if that may be"
        )
        settler.refuse(selector.mark, "plan.no_target", text)
    asked = selector.quota.count or 0
    if candidates and asked > len(candidates):
        text = (
            f"step {step!r} asks for {asked} services, and only {len(candidates)} fit: "
            f"{', '.join(candidates)}; ask for fewer, or for a share such as 50%"
        )
        settler.refuse(selector.mark, "plan.too_few_targets", text)
    chosen = seeds.chosen(own, step, candidates, count=_count(selector.quota, len(candidates)))
    return Choice(step=step, seed=own, candidates=tuple(candidates), chosen=chosen)


def _candidates(selector: Selector, step: StepId, settler: Settler) -> Iterable[ServiceName]:
    named = {settler.service(name, selector.mark) for name in selector.services}
    excluded = {settler.service(name, selector.mark) for name in selector.exclude}
    for name, service in settler.topology.services.items():
        if name in excluded or not _is_tagged(service, selector):
            continue
        if name in named:
            # Whoever names one that is protected is told so, whatever chance would choose.
            settler.unprotected(name, step, selector.mark)
            yield name
        elif not selector.services and not service.protect:
            yield name


def _is_tagged(service: Service, selector: Selector) -> bool:
    return selector.tags.items() <= service.tags.items()


def _count(quota: Quota, candidates: int) -> int:
    if quota.percent is not None:
        return max(1, math.ceil(candidates * Fraction(str(quota.percent)) / 100))
    return candidates if quota.count is None else quota.count

"""Make a plan of a scenario: arguments bound, copies made, expressions settled, order known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from test_coordination.application.capabilities import Catalogue
from test_coordination.application.planning import seeds
from test_coordination.application.planning.checks import planned_check, stop_rules
from test_coordination.application.planning.claims import (
    claims,
    refuse_excess,
    refuse_without_budget,
)
from test_coordination.application.planning.digest import Wording
from test_coordination.application.planning.known import SEED, settler_of
from test_coordination.application.planning.settle import TIME_MIN, Allowance, Settler, plain
from test_coordination.application.planning.stages import dependencies, probes, stages
from test_coordination.application.planning.steps import Planner
from test_coordination.application.ports import Expressions
from test_coordination.domain.arguments import bind
from test_coordination.domain.errors import InvalidDocumentError, Mark, suggestion
from test_coordination.domain.parameters import ParameterType
from test_coordination.domain.plan import (
    PLAN_FORMAT,
    Plan,
    PlannedStep,
    ScenarioWork,
)
from test_coordination.domain.scenario import TIMEOUT_DEFAULT, Scenario
from test_coordination.domain.secrets import placeholder, references
from test_coordination.domain.steps import COPIES_MAX, HOLD_MAX, ScenarioStep
from test_coordination.domain.topology import Topology

DEPTH_MAX: Final = 8
"""How deep scenarios may run as steps of each other, the outermost counted."""

NO_OTHERS: Final[Mapping[str, Scenario]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A plan, and whether it would be the same with another seed, ``wording`` being what it says.

    It is not the same where anything is left to chance, where the seed's value is used, and where
    other scenarios run as steps, which get a seed of their own.
    """

    plan: Plan
    wording: Wording
    is_same: bool

    def with_seed(self, seed: int) -> Plan:
        """Return the plan for another seed, with which it must be the same."""
        assert self.is_same or seed == self.plan.seed, "another seed gives another plan"
        return replace(self.plan, seed=seed, digest=self.wording.digest(seed))


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolver:
    """Makes plans; it looks at no target, and the same input gives the same plan.

    ``environment`` are the variables that scenarios may see.
    """

    catalogue: Catalogue
    expressions: Expressions
    topology: Topology
    environment: Mapping[str, str] = field(default_factory=dict)

    def plan(
        self,
        scenario: Scenario,
        given: Mapping[str, object],
        *,
        seed: int = 0,
        others: Mapping[str, Scenario] = NO_OTHERS,
    ) -> Plan:
        """Return what running ``scenario`` with the parameters ``given`` means here.

        Every choice is drawn from ``seed``, unless it has one of its own. ``others`` are the
        scenarios that it, and they, run as steps, by the names that the steps give.

        Raises:
            InvalidDocumentError: parameters, targets or settled values are wrong; all at once.
        """
        return self.planned(scenario, given, seed=seed, others=others).plan

    def planned(
        self,
        scenario: Scenario,
        given: Mapping[str, object],
        *,
        seed: int = 0,
        others: Mapping[str, Scenario] = NO_OTHERS,
    ) -> Planned:
        """Return the `plan`, and what another seed would change.

        Raises:
            InvalidDocumentError: see `plan`.
        """
        course = _Course(resolver=self, others=others, trail=(scenario.name,))
        return course.planned(scenario, given, seed=seed)


@dataclass(slots=True, kw_only=True)
class _Budget:
    """How much may still be planned, however deep scenarios run each other."""

    steps: int = COPIES_MAX
    plans: int = COPIES_MAX
    allowance: Allowance = field(default_factory=Allowance)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Course:
    """One scenario's planning; ``trail`` names those that run each other, down to this one."""

    resolver: Resolver
    others: Mapping[str, Scenario]
    trail: tuple[str, ...]
    budget: _Budget = field(default_factory=_Budget)

    def planned(self, scenario: Scenario, given: Mapping[str, object], *, seed: int) -> Planned:
        resolver = self.resolver
        services = frozenset(resolver.topology.services)
        arguments = bind(scenario.parameters, given, mark=scenario.mark, services=services)
        settler = settler_of(
            scenario,
            arguments,
            catalogue=resolver.catalogue,
            expressions=resolver.expressions,
            topology=resolver.topology,
            environment=resolver.environment,
            seed=seed,
            allowance=self.budget.allowance,
        )
        longest = TIMEOUT_DEFAULT if scenario.timeout is None else scenario.timeout
        timeout = settler.moment(longest, scenario.mark, least=TIME_MIN, most=HOLD_MAX)
        planner = Planner(seed=seed, longest=timeout, nested=self.nested)
        wired = stages(scenario, planner, settler)
        self._refuse_many(wired.steps, scenario.mark, settler)
        refuse_excess(scenario.blast_radius, wired.steps, settler)
        refuse_without_budget(wired.steps, settler)
        found = Plan(
            scenario=scenario.name,
            topology=resolver.topology.name,
            parameters={name: plain(value) for name, value in arguments.items()},
            probes=tuple(probes(scenario, settler)),
            watched=tuple(
                planned_check(check, settler) for check in scenario.steady_state if check.watch
            ),
            steps=wired.steps,
            timeout=timeout,
            groups=wired.groups,
            stop_when=tuple(stop_rules(scenario, settler)),
            depends_on=tuple(dependencies(scenario, settler)),
            claims=claims(scenario.resources, wired.steps, settler),
            choices=tuple(planner.choices),
            seed=seed,
            services_max=resolver.topology.services_max,
            format=PLAN_FORMAT,
        )
        settler.settle()
        wording = Wording.of(found)
        used = planner.choices or SEED in settler.read
        nested = any(step.scenario is not None for step in found.steps)
        return Planned(
            plan=replace(found, digest=wording.digest(seed)),
            wording=wording,
            is_same=not used and not nested,
        )

    def nested(self, step: ScenarioStep, settler: Settler, *, seed: int) -> ScenarioWork | None:
        """See `Nested`; what is wrong inside is told at the step that runs it."""
        found = self._named(step, settler)
        if found is None:
            return None
        before = len(settler.problems)
        given = _handed(step, found, settler)
        if len(settler.problems) > before:
            return None
        inner = replace(self, trail=(*self.trail, found.name))
        try:
            plan = inner.planned(found, given, seed=seeds.derived(seed, step.id)).plan
        except InvalidDocumentError as error:
            for problem in error.problems:
                text = f"in the scenario {step.scenario!r}, {problem.mark}: {problem.text}"
                settler.refuse(step.mark, problem.code, text)
            return None
        return ScenarioWork(
            scenario=step.scenario, parameters=given, plan=plan, verdicts=step.verdicts
        )

    def _named(self, step: ScenarioStep, settler: Settler) -> Scenario | None:
        """Return the scenario that ``step`` runs, if it may be run at this place."""
        found = self.others.get(step.scenario)
        self.budget.plans -= 1
        if found is None:
            known = suggestion(step.scenario, frozenset(self.others))
            text = f"no scenario is named {step.scenario!r}; {known}"
            settler.refuse(step.mark, "plan.unknown_scenario", text)
        elif found.name in self.trail:
            circle = " -> ".join((*self.trail[self.trail.index(found.name) :], found.name))
            text = f"these scenarios run each other without an end: {circle}; take one step away"
            settler.refuse(step.mark, "plan.circle", text)
        elif len(self.trail) >= DEPTH_MAX:
            text = f"scenarios run each other {len(self.trail) + 1} deep: "
            text += f"{' -> '.join((*self.trail, found.name))}; expected {DEPTH_MAX} at most"
            settler.refuse(step.mark, "plan.too_deep", text)
        elif self.budget.plans < 0:
            text = f"more than {COPIES_MAX} scenarios run as steps of each other; run fewer"
            settler.refuse(step.mark, "plan.too_many_steps", text)
        else:
            return found
        return None

    def _refuse_many(self, steps: tuple[PlannedStep, ...], mark: Mark, settler: Settler) -> None:
        self.budget.steps -= len(steps)
        if self.budget.steps < 0:
            text = (
                f"{COPIES_MAX - self.budget.steps} steps are planned, with all copies and the "
                f"steps of other scenarios; expected {COPIES_MAX} at most: split the scenario"
            )
            settler.refuse(mark, "plan.too_many_steps", text)
        for identity, times in Counter(step.id for step in steps).items():
            if times > 1:
                marks = [step.mark for step in steps if step.id == identity and step.mark]
                text = f"{times} planned steps have the id {identity!r}; give one another id"
                settler.refuse(marks[-1], "plan.duplicate_id", text)


def _handed(step: ScenarioStep, found: Scenario, settler: Settler) -> Mapping[str, object]:
    """Return what ``step`` gives to the parameters of ``found``.

    A secret is handed on as the reference to it, and only to a parameter that is one, too.
    """
    secret = {each.name for each in found.parameters if each.type is ParameterType.SECRET}
    given = dict(settler.given(step.parameters))
    for name, value in given.items():
        kept = tuple(references(value))
        if name in secret and kept and value == placeholder(kept[0]):
            given[name] = kept[0]
        elif kept:
            text = f"the parameter {name!r} of {found.name!r} is given a secret; hand secrets "
            text += "on as they are, and only to parameters of the type secret"
            settler.refuse(step.mark, "secret.computed", text)
    return given

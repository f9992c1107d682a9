"""``tcoord plan``: what running something would mean, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from support.e2e_authors import SCENARIO, TOPOLOGY, Author, author
from support.e2e_terminal import shown

pytestmark = pytest.mark.timeout(300)

GOLDEN = """\
shop-gone on shop
The shop is gone
takes 8.4s at best and 28s at worst; stopped after 5m
with service=shop  outage=5s

touches shop: 1 service, 33 % of the system
  service.stop on shop
    in break
    undone: the service is started again, and waited for until it is healthy

  step   kind    begins    ends  latest  0                                   28s
* break  fault       0s      5s      5s  ███████
* back   expect      5s      7s     27s         ███░░░░░░░░░░░░░░░░░░░░░░░░░░░
* rest   wait        7s    8.4s     28s                                       ██
  █ at least  ░ at most  │ a moment  * critical path; begins and ends at best

critical path
  break → back → rest

locks (waited for, and kept until every fault is undone)
  alone  service/shop

left to chance (seed 0; --seed 0 chooses the same again)
  rest  1s355ms, between 1s and 3s

warnings
  gone.yaml:10:5: a fault hits 'shop', whose criticality is high, and nothing
    limits how many services are hit; write a 'blast_radius'
  shop-gone.yaml:1:11: nothing says what a well system looks like before and
    after its faults; write a 'steady_state'
  shop-gone.yaml:1:11: nothing says when its faults do too much harm to go on;
    write a 'stop_when'
"""
GOLDEN_SUITE = """\
all-gone on shop (suite)
One after the other
3 executions, one after the other; takes 21s at best and 1m21s at worst
nothing further is begun after residue

layer 1, which needs nothing
  first.1    5.4s     25s  shop-gone
                           hits shop; outage=2s
  first.2    7.4s     27s  shop-gone
                           hits shop; outage=4s

layer 2
  then       8.4s     28s  shop-gone
                           hits shop; after first.1 and first.2

times are at best and at worst; `tcoord plan` shows the steps of a scenario
"""
LONG = """
scenario: long
version: 1
extends: gone
parameters: {service: till, token: {type: secret, default: "env:TOKEN"}}
depends_on: [{scenario: shop-gone, verdict: [held, broken], within: 24h}]
resources: {exclusive: [books], pools: {network: 2}}
stop_when: [{id: too-long, when: "!probes.seen.last.healthy", hold: 1m}]
steps:
  - id: pick
    if: "parameters.outage > duration('2s')"
    fault: service.pause
    target: {tags: {tier: core}, instances: any}
    hold: 1s
on_failure:
  - {id: again, action: service.start, with: {service: till}}
"""


@pytest.fixture(scope="module")
def writer() -> Iterator[Author]:
    with author() as lent:
        yield lent


def test_a_plan_fits_a_terminal_of_eighty_columns(writer: Author) -> None:
    said = writer.plans("shop-gone.yaml")

    assert (said.status, said.err) == (0, "")
    assert said.out == GOLDEN
    assert max(map(len, said.out.splitlines())) <= 80
    assert not writer.terminal.home.exists()


def test_a_definition_is_planned_by_its_name_as_well(writer: Author) -> None:
    assert writer.plans("shop-gone").out == GOLDEN


def test_a_plan_comes_from_standard_input_too(writer: Author) -> None:
    said = writer.types("plan", "-", "--topology", writer.topology, typed=SCENARIO)

    assert said.status == 0
    assert said.out.splitlines()[:20] == GOLDEN.splitlines()[:20]
    assert "<stdin>:1:11: " in said.out


def test_conditions_claims_dependencies_limits_and_remedies_are_told(writer: Author) -> None:
    writer.writes("long.yaml", LONG)

    said = writer.plans("long.yaml")

    told = said.out
    assert said.status == 0
    assert "depends on\n  shop-gone  must have ended as held or broken, not longer than 1d" in told
    assert "only if\n  pick" in told
    assert "alone     books" in told
    assert "slots of  network (2 of 3)" in told
    assert "stopped at once when\n  too-long  !probes.seen.last.healthy for 1m" in told
    assert "only if it fails\n  again  service.start" in told
    assert "token=env:TOKEN" in told


def test_how_much_of_the_system_may_be_hit_at_a_time_is_told(writer: Author) -> None:
    budget = "blast_radius: {services: 2, percent: 50%}\n"
    topology = writer.writes("tight.yaml", f"{TOPOLOGY}{budget}")

    said = writer.types("plan", "shop-gone", "--topology", str(topology))

    assert said.status == 0
    assert "  faults wait while 1 of its services are hit, by whichever execution\n" in said.out


def test_parameters_and_the_seed_decide_what_is_planned(writer: Author) -> None:
    longer = writer.plans("shop-gone", "--set", "outage=30s", "--seed", "9")
    again = writer.plans("shop-gone", "--set", "outage=30s", "--seed", "9")

    assert "outage=30s" in longer.out
    assert "seed 9" in longer.out
    assert longer.out == again.out


def test_a_program_reads_the_same_as_people_do(writer: Author) -> None:
    found = json.loads(writer.plans("shop-gone", "--output", "json").out)

    assert found["scenario"] == "shop-gone"
    assert found["critical_path"] == ["break", "back", "rest"]
    assert found["blast_radius"] == {"services": ["shop"], "percent": 33.3, "services_max": None}
    assert found["claims"]["exclusive"] == ["service/shop"]
    assert found["touches"][0]["service"] == "shop"
    assert [step["id"] for step in found["steps"]] == ["break", "back", "rest"]
    assert found["steps"][0]["best"] == {"start_s": 0.0, "end_s": 5.0}
    assert {one["severity"] for one in found["warnings"]} == {"warning"}


def test_strict_is_satisfied_only_without_warnings(writer: Author) -> None:
    assert writer.plans("shop-gone").status == 0
    assert writer.plans("shop-gone", "--strict").status == 2


def test_a_suite_is_planned_in_layers(writer: Author) -> None:
    said = writer.plans("all-gone")

    assert (said.status, said.out) == (0, GOLDEN_SUITE)


def test_a_suite_is_planned_for_programs(writer: Author) -> None:
    found = json.loads(writer.plans("all-gone.yaml", "--output", "json").out)

    assert [(one["id"], one["layer"]) for one in found["entries"]] == [
        ("first.1", 1),
        ("first.2", 1),
        ("then", 2),
    ]
    assert found["entries"][1]["given"] == {"outage": "4s"}
    assert found["best_s"] == sum(one["plan"]["best_s"] for one in found["entries"])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("gone",), "`tcoord init FILE --template gone` writes a scenario"),
        (("gone.yaml",), "`tcoord init FILE --template gone` writes a scenario"),
        (("shop-goen",), "did you mean 'shop-gone'?"),
        (("shop-gone@3",), "only what is stored has versions"),
        (("shop-gone@x",), "expected NAME@VERSION"),
        (("nowhere.yaml",), "there is no file 'nowhere.yaml'"),
        (("..",), "is a folder"),
        (("shop-gone", "--set", "outage=3 weeks"), "expected a duration"),
        (("shop-gone", "--set", "otuage=3s"), "did you mean 'outage'?"),
        (("shop-gone", "--set", "service=shpo"), "did you mean 'shop'?"),
    ],
)
def test_what_cannot_be_planned_is_refused_with_what_to_do(
    writer: Author, words: tuple[str, ...], told: str
) -> None:
    said = writer.plans(*words)

    assert (said.status, said.out) == (2, "")
    assert told in said.err
    assert "Traceback" not in said.err


def test_without_a_topology_it_is_said_how_to_give_one(writer: Author) -> None:
    said = writer.types("plan", "shop-gone")

    assert said.status == 2
    assert "TCOORD_TOPOLOGY" in said.err


def test_what_is_given_for_a_secret_is_never_repeated(writer: Author) -> None:
    writer.writes("long.yaml", LONG)

    said = writer.plans("long.yaml", "--set", "token=hunter2")
    bare = writer.plans("long.yaml", "--set", "hunter2")

    assert (said.status, bare.status) == (2, 2)
    assert "env:NAME or file:PATH" in said.err
    assert "hunter2" not in said.out + said.err + bare.out + bare.err


def test_where_the_output_knows_no_other_signs_the_picture_is_of_plain_ones(
    writer: Author,
) -> None:
    words = ("plan", "shop-gone", "--topology", writer.topology)
    running = writer.terminal.start(*words, environment={"PYTHONIOENCODING": "ascii"})

    said = running.ends()

    assert said.status == 0
    assert said.out.isascii()
    assert "###" in said.out


@pytest.mark.parametrize(("environment", "painted"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_a_terminal_is_painted_unless_its_owner_objects(
    writer: Author, environment: dict[str, str], *, painted: bool
) -> None:
    words = ("plan", "shop-gone", "--topology", writer.topology)

    written = shown(writer.terminal, *words, environment=environment)

    assert ("\x1b[" in written) is painted


def test_a_wide_terminal_is_told_what_each_step_does(writer: Author) -> None:
    words = ("plan", "shop-gone", "--topology", writer.topology)

    said = writer.terminal.start(*words, environment={"COLUMNS": "120"}).ends()

    assert "service.stop on shop for 5s" in said.out
    assert "expect probes.seen.last.healthy" in said.out
    assert max(map(len, said.out.splitlines())) <= 120

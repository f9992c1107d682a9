"""Topologies that are well: what they become."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from test_coordination.adapters.documents.systems.topology import TopologyReader
from test_coordination.adapters.expressions.cel import CelExpressions
from test_coordination.domain.errors import InvalidDocumentError
from test_coordination.domain.expressions import Expression
from test_coordination.domain.topology import (
    Address,
    Criticality,
    Health,
    StateSource,
    StopSignal,
    Topology,
)
from test_coordination.domain.values import ServiceName
from test_coordination.domain.verdicts import Severity

ROOT = Path(__file__).parents[2]
GOOD = Path(__file__).parent / "fixtures" / "good" / "topology.yaml"
TRADING = ROOT / "examples" / "trading" / "topology.yaml"
URL = "postgresql://bank:hunter2@localhost/ledger"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "topology.yaml").write_text(GOOD.read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "ledger-url").write_text(f"{URL}\n", encoding="utf-8")
    return tmp_path


def read(
    path: Path, *, variables: Mapping[str, str] | None = None, port_offset: int = 0
) -> Topology:
    reader = TopologyReader(
        CelExpressions(), python="/usr/bin/python", environment={"LEDGER_URL": URL}
    )
    return reader.read(
        path.read_text(encoding="utf-8"),
        file=str(path),
        state_directory=Path("/state"),
        variables=variables or {},
        port_offset=port_offset,
    )


def mistakes(path: Path, **given: int | Mapping[str, str]) -> list[str]:
    with pytest.raises(InvalidDocumentError) as refused:
        read(path, **given)  # type: ignore[arg-type]  # the tests below give what fits
    problems = refused.value.problems
    return [f"{found.mark.line}:{found.mark.column} {found.code}" for found in problems]


def test_services_are_read_with_all_that_they_say(folder: Path) -> None:
    topology = read(folder / "topology.yaml")
    database, bank, front = topology.services.values()

    assert (topology.name, topology.directory) == ("shop", "/state")
    assert database.command == ("/usr/bin/python", "-m", "server", "--directory", "/state/db")
    assert database.health == Health(unix="/state/db/.socket")
    assert (database.protect, database.criticality) == (True, Criticality.HIGH)
    assert bank.directory == str(folder)
    assert bank.health == Health(http="/health", timeout=timedelta(seconds=20))
    assert bank.stop_grace == timedelta(seconds=2)
    assert front.health == Health(tcp="web")
    assert (front.criticality, front.protect) == (Criticality.NORMAL, False)
    assert (bank.mark.line, bank.mark.column) == (9, 3)
    assert [service.name for service in topology.in_order()] == ["ledger-db", "bank", "shop-front"]


@pytest.mark.parametrize("wanted", StopSignal)
def test_a_service_says_which_signal_asks_it_to_end(folder: Path, wanted: StopSignal) -> None:
    path = folder / "topology.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("stop_grace: 2s", f"stop_signal: {wanted}"), encoding="utf-8")

    services = read(path).services

    assert services[ServiceName("bank")].stop_signal is wanted
    assert services[ServiceName("shop-front")].stop_signal is StopSignal.TERM


def test_a_signal_that_asks_for_nothing_is_refused_with_the_choices(folder: Path) -> None:
    path = folder / "topology.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("stop_grace: 2s", "stop_signal: KILL"), encoding="utf-8")

    with pytest.raises(InvalidDocumentError) as refused:
        read(path)

    (problem,) = refused.value.problems
    assert (problem.mark.line, problem.mark.column) == (16, 18)
    assert problem.code == "topology.unknown_value"
    assert "'stop_signal' must be TERM, INT or QUIT, not 'KILL'" in problem.text


def test_placeholders_are_replaced_and_other_dollars_are_left(folder: Path) -> None:
    services = read(folder / "topology.yaml", variables={"build": "fragile"}).services

    bank, front = list(services.values())[1:]
    assert bank.environment == {
        "PORT": "8080",
        "BUILD": "fragile",
        "PRICE": "$5",
        "SHELL_LIKE": "$HOME",
        "HERE": f"{folder}/x",
    }
    assert front.command[2:] == ("127.0.0.1:8080", "127.0.0.1:18080", "127.0.0.1:8090")


def test_an_offset_moves_every_port(folder: Path) -> None:
    topology = read(folder / "topology.yaml", port_offset=1000)

    bank, front = list(topology.services.values())[1:]
    assert bank.ports == {
        "http": Address(host="127.0.0.1", port=9080),
        "grpc": Address(host="127.0.0.1", port=9081),
    }
    assert front.command[2:] == ("127.0.0.1:9080", "127.0.0.1:19080", "127.0.0.1:9090")
    assert topology.links["shop-to-bank"].listen == Address(host="127.0.0.1", port=19080)
    assert topology.links["shop-to-bank"].upstream == Address(host="127.0.0.1", port=9081)
    assert bank.state["totals"].parameters == {
        "request": "GET http://127.0.0.1:9080/totals?all=true"
    }


def test_an_offset_that_leaves_the_range_is_refused_at_each_port(folder: Path) -> None:
    found = mistakes(folder / "topology.yaml", port_offset=50_000)

    assert found == ["27:66 topology.out_of_range", "28:54 topology.out_of_range"]


def test_a_link_without_a_port_leads_to_the_only_one(folder: Path) -> None:
    link = read(folder / "topology.yaml").links["bank-to-shop"]

    assert (link.source, link.target) == ("bank", "shop-front")
    assert link.upstream == Address(host="127.0.0.1", port=8090)


def test_state_names_the_probe_that_reads_it(folder: Path) -> None:
    state = read(folder / "topology.yaml").service("bank").state

    assert state["accounts"] == StateSource(
        kind="sql",
        parameters={"target": "ledger", "query": "select $1, count(*) from accounts"},
    )
    assert state["process"] == StateSource(kind="process", parameters={"service": "bank"})


def test_stores_are_resolved_and_never_shown(folder: Path) -> None:
    topology = read(folder / "topology.yaml")

    assert topology.stores["ledger"].url == "postgresql://postgres@/ledger?host=/state/db"
    assert topology.stores["secret"].url == URL
    assert topology.stores["filed"].url == URL
    assert "hunter2" not in repr(topology)


def test_invariants_are_conditions_on_the_state(folder: Path) -> None:
    balanced, counted = read(folder / "topology.yaml").invariants

    assert (balanced.id, balanced.severity) == ("balanced", Severity.CRITICAL)
    assert isinstance(balanced.expression, Expression)
    assert balanced.expression.mark.line == 34
    assert counted.severity is Severity.NORMAL


def test_a_system_says_how_much_of_it_may_be_hit_and_what_its_pools_hold(folder: Path) -> None:
    path = folder / "topology.yaml"
    plain = read(path)
    with path.open("a", encoding="utf-8") as file:
        file.write("blast_radius: {services: 2, percent: 50%}\npools: {network: 3, disk: 1}\n")

    topology = read(path)

    assert (plain.blast_radius, plain.services_max, plain.pools) == (None, None, {})
    radius = topology.blast_radius
    assert radius is not None
    assert (radius.services, radius.percent, radius.mark.line) == (2, 50.0, plain_lines(path) - 1)
    assert topology.services_max == min(2, len(topology.services) // 2)
    assert topology.pools == {"network": 3, "disk": 1}


def plain_lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_a_variable_that_is_not_declared_cannot_be_given(folder: Path) -> None:
    found = mistakes(folder / "topology.yaml", variables={"buidl": "fragile"})

    assert found == ["2:1 topology.unknown_variable"]


def test_two_mistakes_of_one_map_are_both_told_and_the_rest_is_kept(folder: Path) -> None:
    path = folder / "topology.yaml"
    text = path.read_text(encoding="utf-8").replace('PRICE: "$$5"', "PRICE: 5, ON: yes, OFF: true")
    path.write_text(text.replace("${build}", "${biuld}"), encoding="utf-8")

    assert mistakes(path) == [
        "11:41 topology.unknown_variable",
        "11:59 topology.wrong_type",
        "11:76 topology.wrong_type",
    ]


def test_the_shipped_system_is_read(tmp_path: Path) -> None:
    reader = TopologyReader(CelExpressions(), python="python", environment={})
    text = TRADING.read_text(encoding="utf-8")

    topology = reader.read(text, file=str(TRADING), state_directory=tmp_path, port_offset=7)

    assert topology.service("exchange").ports["http"] == Address(host="127.0.0.1", port=8091)
    assert topology.in_order()[0].name == "trading-db"
    assert {invariant.id for invariant in topology.invariants} >= {"nothing-lost", "conservation"}

"""How fast 1,000 scenarios are read, resolved, validated and planned, against Chaos Toolkit.

    python benchmarks/planning.py

Ours extend a template each, are decoded with every expression in them typed and compiled, and
planned on the trading example. Chaos Toolkit loads and validates as many experiments with as many
lines and activities. Every document of either is different. Each repetition is a process of its
own, by turns, and what is compared is the processor time from the first file to the last; what
it takes to start Python and to import either is left out. The peer lives in an environment of its
own under build/, which the first run makes.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from statistics import mean, median
from typing import Final

from test_coordination.adapters.documents.composition.library import FileLibrary
from test_coordination.adapters.documents.definitions import DefinitionReader
from test_coordination.adapters.expressions.cel import CelExpressions
from test_coordination.adapters.links.keeper import LinkKeeper
from test_coordination.adapters.targets.process import ProcessServices
from test_coordination.application.planning.resolver import Resolver
from test_coordination.domain.scenario import Scenario
from test_coordination.kinds import catalogue
from test_coordination.systems import Source, read_topology

DOCUMENTS: Final = 1_000
LINES: Final = 77
ACTIVITIES: Final = 9
REPETITIONS: Final = 5
SEED: Final = 20_260_101
GOAL: Final = 5.0

ROOT: Final = Path(__file__).resolve().parents[1]
TOPOLOGY: Final = ROOT / "examples" / "trading" / "topology.yaml"
ENVIRONMENT: Final = ROOT / "build" / "benchmark-chaostoolkit"
PINNED: Final = (
    "certifi==2026.10.18",
    "chaostoolkit-lib==1.44.0",
    "charset-normalizer==3.5.2",
    "idna==3.20",
    "importlib-metadata==10.2.0",
    "lazy-importer==0.1.0",
    "python-json-logger==4.2.0",
    "pyyaml==6.0.3",
    "requests==2.34.2",
    "urllib3==2.8.0",
    "zipp==4.1.2",
)

SERVICES: Final = ("market-data", "exchange", "custodian", "trading-engine", "risk-monitor")
FAULTS: Final = ("service.stop", "service.kill", "service.pause", "service.restart")

TEMPLATE: Final = """\
template: outage-under-load
version: 1
description: A service is gone while orders flow, and all is well again soon.
tags: [trading]
parameters:
  service: {type: service, abstract: true, description: the service to be broken}
  outage: {type: duration, default: 5s, min: 100ms, max: 60s}
  rate: {type: integer, default: 100, min: 1, max: 200, unit: orders/s}
  settle: {type: duration, default: 3s, min: 10ms}
steps:
  - id: load
    title: Orders flow
    action: http.post
    with:
      url: "http://${{ services.load_generator.address }}/start"
      json: {rate: "${{ parameters.rate }}"}
  - id: broken
    fault: service.stop
    target: "${{ parameters.service }}"
    hold: "${{ parameters.outage }}"
timeout: 5m
"""

SCENARIO: Final = """\
scenario: outage-{number}
version: 1
extends: outage-under-load
title: Outage {number} of {service}
owner: team-{chance_a}
tags: [outage, {service}]

parameters:
  service: {service}
  outage: {outage}ms
  rate: {rate}
  warm_up: {{type: duration, default: {warm_up}ms, min: 10ms}}
  slow: {{type: number, default: {slow}.5, min: 1, max: 1000, unit: ms}}

resources:
  shared: ["books/${{{{ parameters.service }}}}"]
  pools: {{network: 1}}
blast_radius: {{services: 2}}

probes:
  latency:
    http: "GET http://${{{{ services.{word}.address }}}}/health?run={number}"
    every: {every}ms
  process:
    process: {service}
    every: {every}ms
  lost_orders:
    sql:
      target: trading-db
      query: "select count(*) + {chance_a} - {chance_a} from audit.lost_orders"
  doubled_orders:
    sql:
      target: trading-db
      query: "select count(*) + {chance_b} - {chance_b} from audit.doubled_orders"
    every: 1s

steady_state:
  - {{id: healthy, expect: "probes.latency.last.status == 200 && {number} > 0", watch: false}}
  - {{id: fast, expect: "probes.latency.p95_ms < {slow}.5 + {chance_b}.0", watch: false}}
  - {{id: nothing-lost, expect: "probes.lost_orders.last.value <= {chance_a}", severity: critical}}

stop_when:
  - {{id: hopeless, when: "probes.latency.missing > {chance_b} + 100", hold: 2s}}

steps:
  - id: before
    before: load
    snapshot: [exchange, {service}]
  - id: broken
    title: The {service} is gone
    fault: {fault}
  - id: warm
    after: load
    wait: "${{{{ parameters.warm_up }}}}"
  - id: back
    title: The {service} answers again
    expect: "probes.latency.last.status == 200 && probes.latency.max_ms < {slow}.5"
    within: {within}s
    hold: 3s
    after_fault: broken
  - id: quiet
    action: http.post
    with: {{url: "http://${{{{ services.load_generator.address }}}}/stop?run={number}"}}
    retry: {{attempts: 3, delay: 1s}}
  - id: settled
    wait: "${{{{ parameters.settle }}}}"
  - parallel:
      - id: none-lost
        expect: "probes.lost_orders.last.value == {chance_a} - {chance_a}"
        within: {within}s
        severity: critical
      - id: none-doubled
        expect: "probes.doubled_orders.last.value == {chance_b} - {chance_b}"
        within: 10s
  - id: after
    snapshot: [exchange, {service}]
"""

# The parts of an experiment that are about as many activities in as many lines.
HEAD: Final = """\
title: Outage {number} of {service}
description: A service is gone while orders flow, and all is well again soon.
tags: [outage, {service}]
configuration:
  rate: {rate}
  slow_ms: {slow}
  outage_ms: {outage}
  warm_up_ms: {warm_up}
  within_s: {within}
steady-state-hypothesis:
  title: The {service} is well
  probes:
"""
PROBE: Final = """\
  - type: probe
    name: {name}
    tolerance: {tolerance}
    provider:
      type: http
      url: "http://127.0.0.1:8084/{name}?run={number}"
      timeout: {within}
"""
ACTION: Final = """\
  - type: action
    name: {name}
    provider:
      type: http
      url: "http://127.0.0.1:8084/{name}?run={number}"
      arguments: {{rate: {rate}}}
    pauses: {{after: {within}}}
"""
PEER: Final = """
import logging, pathlib, sys, time
from chaoslib.experiment import ensure_experiment_is_valid
from chaoslib.loader import load_experiment
logging.disable(logging.CRITICAL)
files = sorted(map(str, pathlib.Path(sys.argv[1]).iterdir()))
start = time.process_time()
for file in files:
    ensure_experiment_is_valid(load_experiment(file))
print(time.process_time() - start)
"""


def documents(chance: Random) -> Iterator[tuple[str, str]]:
    """Yield scenarios, each with the experiment that it is compared to."""
    for number in range(1, DOCUMENTS + 1):
        service = chance.choice(SERVICES)
        values = {
            "number": number,
            "service": service,
            "word": service.replace("-", "_"),
            "fault": chance.choice(FAULTS),
            "outage": chance.randrange(100, 60_000),
            "rate": chance.randrange(1, 200),
            "warm_up": chance.randrange(10, 9_999),
            "slow": chance.randrange(1, 999),
            "every": chance.randrange(100, 9_999),
            "within": chance.randrange(5, 100),
            "chance_a": chance.randrange(1_000_000),
            "chance_b": chance.randrange(1_000_000),
        }
        yield SCENARIO.format_map(values), experiment(values)


def experiment(values: dict[str, object]) -> str:
    """Return an experiment with as many lines and activities as a scenario."""
    names = [f"step-{place}-{values['chance_a']}" for place in range(ACTIVITIES)]
    probes = [PROBE.format(name=name, tolerance=200, **values) for name in names[:4]]
    actions = [ACTION.format(name=name, **values) for name in names[4:]]
    found = "".join((HEAD.format_map(values), *probes, "method:\n", *actions[:-1], "rollbacks:\n"))
    return found + actions[-1]


def check(scenario: str, other: str) -> None:
    """Make sure that the two are of one size."""
    ours, theirs = scenario.count("\n"), other.count("\n")
    assert abs(ours - LINES) <= 1, ours
    assert abs(theirs - LINES) <= 1, theirs


def activities(scenario: Scenario) -> int:
    """Return how often a scenario asks or touches the system: what the peer calls activities."""
    kinds = ("ActionStep", "FaultStep", "SnapshotStep")
    steps = [step for step in scenario.every_step() if type(step).__name__ in kinds]
    return len(steps) + len(scenario.probes)


def environment(directory: Path = ENVIRONMENT, pinned: Sequence[str] = PINNED) -> Path:
    """Return the peer's Python, in an environment that is made if it is not there."""
    python, stamp = directory / "bin" / "python", directory / "installed"
    wanted = "\n".join(pinned)
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
        print(f"installing the peer into {directory.relative_to(ROOT)} (once)", file=sys.stderr)
        venv.create(directory, clear=True, with_pip=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", *pinned]
        subprocess.run(install, check=True)
        stamp.write_text(wanted, encoding="utf-8")
    return python


def plan_all(folder: Path) -> float:
    """Return how many seconds of the processor it takes to plan every scenario in ``folder``."""
    known = catalogue(LinkKeeper(), ProcessServices())
    expressions = CelExpressions()
    topology = read_topology(Source(file=TOPOLOGY), directory=Path("/nowhere"))
    files = sorted(folder.iterdir())
    start = time.process_time()
    reader = DefinitionReader(known, expressions)
    resolver = Resolver(catalogue=known, expressions=expressions, topology=topology)
    library = FileLibrary([folder.parent / "library"])
    for file in files:
        text = file.read_bytes()
        found = reader.read(text, file=str(file), library=library, topology=topology)
        assert isinstance(found, Scenario)
        plan = resolver.plan(found, {})
        assert plan.steps
        assert activities(found) == ACTIVITIES
    return time.process_time() - start


def write(folder: Path) -> None:
    """Write all documents, and the template."""
    for name in ("ours", "theirs", "library"):
        (folder / name).mkdir()
    (folder / "library" / "outage-under-load.yaml").write_text(TEMPLATE, encoding="utf-8")
    sizes: list[tuple[int, int]] = []
    for number, (scenario, other) in enumerate(documents(Random(SEED))):
        check(scenario, other)
        sizes.append((len(scenario), len(other)))
        (folder / "ours" / f"{number:04}.yaml").write_text(scenario, encoding="utf-8")
        (folder / "theirs" / f"{number:04}.yaml").write_text(other, encoding="utf-8")
    ours, theirs = (mean(each) for each in zip(*sizes, strict=True))
    print(
        f"{DOCUMENTS} documents of {LINES} lines and {ACTIVITIES} activities; "
        f"{ours:,.0f} bytes each of ours and {len(TEMPLATE)} of the template, {theirs:,.0f} each "
        "of the peer's"
    )


def took_s(command: Sequence[str | Path]) -> float:
    """Return what a process says that it took."""
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout)


def main() -> None:
    """Measure, and print."""
    python = environment()
    took: dict[str, list[float]] = {"ours": [], "Chaos Toolkit": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder)
        for _ in range(REPETITIONS):
            took["ours"].append(took_s([sys.executable, __file__, str(folder / "ours")]))
            took["Chaos Toolkit"].append(took_s([python, "-c", PEER, str(folder / "theirs")]))
    print("milliseconds of the processor a document")
    for who, seen in took.items():
        ms = [each * 1000 / DOCUMENTS for each in seen]
        print(f"  {who:14} median {median(ms):6.2f}   {min(ms):.2f} - {max(ms):.2f}")
    ratios = [theirs / ours for ours, theirs in zip(*took.values(), strict=True)]
    print(f"  {'ratio':14} median {median(ratios):6.2f}   {min(ratios):.2f} - {max(ratios):.2f}")
    print(f"  goal           at least {GOAL:g} times as fast")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(plan_all(Path(sys.argv[1])))
    else:
        main()

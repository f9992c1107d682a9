"""Scenarios that chance writes, with all that the language knows; a number names each of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any

STEPS_MAX = 5
DEPTH_MAX = 2
GOOD = "probes.p.last.ok"
CONDITIONS = (
    GOOD,
    "probes.q.last.value > 0.5",
    "1 < 2",
    "1 > 2",
    "execution.elapsed > duration('2s')",
)
SERVICES = ("shop", "bank", "till")
RESOURCES = ("ledger", "network", "service/shop", "service/bank")

Keys = dict[str, Any]


def source(number: int, *, inner: int | None = None) -> str:
    """Return the text of scenario ``number``; some of its steps run the scenario ``inner``.

    A step more or less would make some of the texts wrong: whoever reads them skips those.
    """
    return json.dumps(
        _Author(Random(f"scenario {number}"), name_of(number), inner=inner).scenario()
    )


def name_of(number: int) -> str:
    return f"story-{number}"


@dataclass(slots=True)
class _Author:
    """Writes a scenario from its first step to its last; each may refer to those above it."""

    chance: Random
    name: str
    inner: int | None = None
    above: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    aside: list[str] = field(default_factory=list)
    """Steps in the background."""
    count: int = 0
    secret: bool = False
    """Whether some step is given a secret."""

    def scenario(self) -> Keys:
        some = self.often
        steps = self.steps(0)
        told: Keys = {
            "scenario": self.name,
            "version": 1,
            "probes": {
                "p": {"dial": {"dial": "p"}, "every": "1s", "timeout": "2s"},
                "q": {"dial": {"dial": "q"}, "every": "700ms", "timeout": "1s"},
            },
            "timeout": self.one("20s", "40s"),
        }
        if self.secret:
            told["parameters"] = {"token": {"type": "secret", "default": "env:TOKEN"}}
        if some(0.3):
            told["steady_state"] = [{"id": "well", "expect": GOOD, "within": "3s"}]
        if some(0.15):
            told["preconditions"] = [{"id": "up", "expect": GOOD, "within": "2s", "hold": "1s"}]
        if some(0.15):
            told["postconditions"] = [{"id": "done", "expect": self.condition(), "within": "2s"}]
        if some(0.15):
            told["stop_when"] = [{"when": f"!{GOOD}", "hold": "1s"}]
        if some(0.1):
            told["start"] = {
                "when": self.condition(), "within": "3s", "otherwise": self.one("skip", "fail"),
            }  # fmt: skip
        if some(0.3):
            mend = {"id": "mend", "action": "note", "with": self.deed("mend"), "timeout": "5s"}
            told["on_failure"] = [mend]
        if some(0.5):
            told["resources"] = self.resources()
        return {**told, "steps": steps}

    def resources(self) -> Keys:
        wanted = self.chance.sample(RESOURCES, 2)
        found: Keys = {"exclusive": wanted[:1]} if self.often(0.6) else {"shared": wanted[:1]}
        if self.often(0.3):
            found.setdefault("shared", []).append(wanted[1])
        if self.often(0.2):
            found["pools"] = {"licences": 1}
        return found

    def steps(self, depth: int) -> list[Keys]:
        return [self.step(depth) for _ in range(self.chance.randint(1, STEPS_MAX - 2 * depth))]

    def step(self, depth: int) -> Keys:
        self.count += 1
        name = f"s{self.count}"
        kinds: list[Callable[[str], Keys]] = [
            self.fault, self.fault, self.fault, self.action, self.load, self.wait, self.gate,
            self.snapshot, self.probe, self.expect, self.expect, self.during, self.afterwards,
            self.stop,
        ]  # fmt: skip
        if depth < DEPTH_MAX:
            kinds += [partial(self.group, depth)] * 2
        if self.inner is not None:
            kinds += [self.child] * 2
        told: Keys = {"id": name, **self.one(*kinds)(name)}
        return self.finished(told, depth)

    def finished(self, told: Keys, depth: int) -> Keys:
        """Give a step what any may have."""
        if self.above and self.often(0.3):
            told["needs"] = self.chance.sample(self.above, 1) if self.often(0.7) else []
        if self.often(0.1):
            told["if"] = self.condition()
        if self.often(0.25):
            told["on_error"] = self.one("continue", "ignore")
        if self.often(0.12) and depth == 0 and "stop" not in told:
            told["for_each"] = [1, 2]
            told["concurrency"] = self.one(1, 2)
        self.above.append(told["id"])
        return told

    def group(self, depth: int, name: str) -> Keys:
        del name
        return {self.one("parallel", "sequence"): self.steps(depth + 1)}

    def fault(self, name: str) -> Keys:
        kind = self.one("switch.off", "switch.slow")
        told: Keys = {"fault": kind, "target": self.target(), **self.retried()}
        if kind == "switch.slow":
            told["with"] = {"delay": "1s"}
            if self.often(0.2):
                told["ramp"] = {"over": "2s", "stages": 2}
        if self.often(0.15):
            self.secret = True
            told.setdefault("with", {})["token"] = "${{ parameters.token }}"
        if self.often(0.25):
            told["background"] = True
            self.aside.append(name)
        if not told.get("background") or self.often(0.4):
            told["hold"] = self.one("500ms", "1s", "3s", "5s")
            if self.often(0.15) and "ramp" not in told:
                told["repeat"] = {"times": 2, "pause": "500ms"}
        self.faults.append(name)
        return told

    def target(self) -> object:
        if self.often(0.75):
            return self.one(*SERVICES)
        quota = self.one("any", 2, "50%")
        return {"tags": {"tier": "back"}, "instances": quota, "none": "skip"}

    def action(self, name: str) -> Keys:
        told: Keys = {"action": self.one("note", "ask"), "with": self.deed(name), **self.retried()}
        if self.often(0.15):
            told["timeout"] = "1500ms"
        if self.often(0.2):
            told["background"] = True
            self.aside.append(name)
        if self.often(0.15):
            told["repeat"] = {"times": 2, "pause": "500ms"}
        return told

    def deed(self, name: str) -> Keys:
        seconds = self.one(0, 0.5, 1, 3)
        return {"name": f"{self.name}/{name}", "seconds": seconds, "fails": self.often(0.15)}

    def load(self, name: str) -> Keys:
        """Return an action that is done again and again beside the other steps."""
        self.aside.append(name)
        deed = {"name": f"{self.name}/{name}", "seconds": 0.2, "fails": self.often(0.1)}
        every = {"every": "1s"} if self.often(0.7) else {"every": "500ms", "times": 3}
        return {
            "action": self.one("note", "ask"),
            "with": deed,
            "background": True,
            "repeat": every,
        }

    def wait(self, name: str) -> Keys:
        del name
        if self.often(0.2):
            return {"wait": {"between": ["200ms", "3s"]}}
        return {"wait": self.one("100ms", "1s", "2s", "4s")}

    def gate(self, name: str) -> Keys:
        del name
        otherwise = self.one("fail", "skip", "continue")
        told = {"until": self.condition(), "within": self.one("1s", "3s"), "otherwise": otherwise}
        return {"wait": {**told, "hold": "1s"} if self.often(0.3) else told}

    def snapshot(self, name: str) -> Keys:
        del name
        return {"snapshot": self.chance.sample(SERVICES, 2), **self.retried()}

    def probe(self, name: str) -> Keys:
        del name
        return {"probe": {"dial": {"dial": "p"}}, **self.retried()}

    def expect(self, name: str) -> Keys:
        told: Keys = {"expect": self.condition(), **self.severity()}
        if self.often(0.4):
            span: object = self.one("1s", "3s")
            if self.often(0.3):
                told["background"], span = True, True
                self.aside.append(name)
            return {**told, self.one("always", "never"): span}
        return {**told, "within": self.one("1s", "3s"), "hold": self.one("100ms", "1s")}

    def during(self, name: str) -> Keys:
        if not self.faults:
            return self.expect(name)
        about = self.one(*self.faults)
        mode = self.one("always", "never")
        return {"expect": self.condition(), mode: True, "during": about, **self.severity()}

    def afterwards(self, name: str) -> Keys:
        if not self.faults:
            return self.expect(name)
        told = {"after_fault": self.one(*self.faults), "within": "4s"}
        return {"expect": self.condition(), **told, **self.severity()}

    def stop(self, name: str) -> Keys:
        if not self.aside:
            return self.wait(name)
        return {"stop": self.one(*self.aside)}

    def child(self, name: str) -> Keys:
        assert self.inner is not None
        told: Keys = {"scenario": name_of(self.inner), **self.retried()}
        if self.often(0.6):
            told["verdict"] = ["held", "broken", "inconclusive", "could_not_run", "stopped"]
        if self.often(0.3):
            told["background"] = True
            self.aside.append(name)
        return told

    def condition(self) -> str:
        some = [*CONDITIONS, *(f"steps.{step}.outcome == 'done'" for step in self.above[-1:])]
        some += [f"probes.p.during('{step}').max > 0.0" for step in self.faults[-1:]]
        return str(self.one(*some))

    def severity(self) -> Mapping[str, str]:
        return {"severity": self.one("info", "critical")} if self.often(0.4) else {}

    def retried(self) -> Keys:
        if self.often(0.75):
            return {}
        return {"retry": {"attempts": self.one(2, 3), "delay": self.one("100ms", "1s")}}

    def one(self, *choices: Any) -> Any:
        return self.chance.choice(choices)

    def often(self, share: float) -> bool:
        return self.chance.random() < share

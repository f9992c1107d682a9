"""The costliest documents that are known: each is small, and asks for much. Run in a process.

``python fuzz_worst.py NAME`` takes one of them as far as it goes, and prints the seconds of the
processor that it took, while its address space may grow by no more than is allowed.
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

from support.fuzzing import Way

GROWTH_MAX = 256 * 1024 * 1024
HEAD = "scenario: worst\nversion: 1\n"
THOUSAND = ", ".join(map(str, range(1_000)))


def _steps(step: str, count: int = 1_000) -> str:
    """Return a scenario of steps; N stands for the number of each, and M for the one before."""
    return f"{HEAD}steps:\n" + "".join(
        f"  - {step.replace('N', str(n)).replace('M', str(max(n - 1, 0)))}\n" for n in range(count)
    )


def _copies(step: str) -> str:
    return f"{HEAD}steps: [{{id: x, for_each: [{THOUSAND}], {step}}}]\n"


def _long(piece: str) -> str:
    return (piece * 4_000)[:3_900]


DOCUMENTS = {
    "axes": _steps("{id: sN, for_each: {aN: [1]}, if: each.aN == 1, wait: 1s}"),
    "conditions": _steps("{id: sN, if: \"steps.sM.outcome == 'done'\", wait: 1s}"),
    "conditions-of-nothing": _steps("{id: sN, if: steps.tN.outcome == 1, wait: 1s}"),
    "long-conditions": _steps('{expect: "N < 1 && ' + " && ".join(["1 < 2"] * 400) + '"}', 300),
    "chains": _steps('{expect: "N == ' + _long("a.") + '"}', 250),
    "subtractions": _steps('{expect: "' + _long("steps.x-") + 'N"}', 250),
    "many-expressions": HEAD + 'steps: [{wait: "' + "${{ 1 }}" * 100_000 + '"}]\n',
    "aliases": HEAD
    + "steps:\n  - action: http.post\n    with:\n      json:\n        a: &a ["
    + ", ".join(f"'${{{{ {n} + {n} }}}}'" for n in range(700))
    + "]\n"
    + "".join(f"        a{n}: *a\n" for n in range(60)),
    "alike-ids": _steps(f"{{id: s{'x' * 50}N, wait: 1s, needs: [s{'x' * 49}yN]}}"),
    "needs": _steps("{id: sN, wait: 1s, needs: [" + ", ".join(["sM"] * 90) + "]}", 500),
    "keys": HEAD + "".join(f"key{n}: 1\n" for n in range(30_000)),
    "copies-of-values": _copies(f"action: http.post, with: {{json: [{'1, ' * 20_000}]}}"),
    "copies-of-texts": _copies(
        f"action: http.post, with: {{json: [{', '.join(['a${{ each.value }}'] * 400)}]}}"
    ),
    "copies-of-conditions": _copies(
        'wait: 1s, if: "' + " && ".join(["each.value != 5"] * 150) + '"'
    ),
    "groups": HEAD
    + "steps: "
    + "[{for_each: [1, 2], parallel: " * 9
    + "[{wait: 1s}]"
    + "}]" * 9
    + "\n",
    "pattern": HEAD
    + "parameters: {p: {type: string, pattern: '(a+)+$', default: "
    + "a" * 99
    + "!}}\n",
}  # fmt: skip


def main(name: str) -> None:
    """Take the document ``name``, and print how long it took."""
    way = Way()
    way.go(HEAD + "steps: [{expect: 1 < 2}]\n")
    size = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    limit = size * resource.getpagesize() + GROWTH_MAX
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    start = time.process_time()
    way.go(DOCUMENTS[name])
    print(time.process_time() - start)


if __name__ == "__main__":
    main(sys.argv[1])

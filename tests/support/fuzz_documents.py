"""Documents that nobody would write: good ones, taken apart and put together wrongly."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import yaml
from hypothesis import strategies as st

from support.decoding import GOOD, ROOT

FILES = [*sorted((ROOT / "scenarios").rglob("*.yaml")), *sorted(GOOD.glob("*.yaml"))]
TEXTS = {path.stem: path.read_text(encoding="utf-8") for path in FILES}
TREES: dict[str, Any] = {name: yaml.safe_load(text) for name, text in TEXTS.items()}
NAMES = sorted(TREES)

Path = tuple[str | int, ...]


def paths(tree: Any, at: Path = ()) -> Iterator[Path]:
    """Yield where anything stands in ``tree``."""
    inner: Any = ()
    if isinstance(tree, dict):
        inner = tree.items()
    elif isinstance(tree, list):
        inner = enumerate(tree)
    for key, value in inner:
        yield (*at, key)
        yield from paths(value, (*at, key))


KEYS = sorted({str(path[-1]) for tree in TREES.values() for path in paths(tree)} | {"replace"})

names = st.sampled_from(
    [
        "parameters.rate", "parameters.service", "parameters.outage", "services.exchange.address",
        "services.exchange.instances", "probes.order_latency.last.status", "probes.latency.p95_ms",
        "probes.latency.during('restart').p95_ms", 'probes.lost_orders.after("load").count',
        "steps.load.outcome", "steps.load.result.status", "faults.restart.held", "env.HOME",
        "snapshots.after.exchange.orders.total", "execution.elapsed", "each.value", "each.index",
        "links.load_to_exchange", "nothing.at.all", "probes", "steps.`a-b`.outcome",
    ]
)  # fmt: skip
literals = st.sampled_from(
    ["1", "0.5", "true", "'text'", '"\\n"', "null", "[]", "[1, 'a']", "{'a': 1}", "1u", "b'x'",
     "duration('5s')", "9223372036854775807", "-1", "1e400", "'\\ud800'", "r'\\'"]
)  # fmt: skip
expressions = st.recursive(
    names | literals,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "==", "<", "&&", "||", "in", "-", "?"]), inner).map(
            " ".join
        ),
        st.tuples(
            st.sampled_from(["size", "has", "int", "abs", "!", "-", "percent_of"]), inner
        ).map(lambda both: f"{both[0]}({both[1]})"),
        inner.map(lambda one: f"[1, 2].all(x, {one})"),
        inner.map(lambda one: f"{one}.map(x, x)"),
        inner.map(lambda one: f"{one} ? 1 : 2"),
    ),
    max_leaves=8,
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    expressions,
    expressions.map(lambda one: f"${{{{ {one} }}}}"),
    expressions.map(lambda one: f"a ${{{{ {one} }}}} b"),
    st.sampled_from(["5s", "50%", "64MiB", "exchange", "env:HOME", "a" * 5_000, "restart", "load"]),
    st.sampled_from(["${{", "}}", "$${{ x }}", "${{ ' }}", "-5s", "1e999s", "9" * 400, "nan"]),
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3)
    ),
    max_leaves=6,
)


@st.composite
def trees(draw: st.DrawFn) -> Any:
    """Draw a document that was fine before a few things were done to it."""
    tree = deepcopy(TREES[draw(st.sampled_from(NAMES))])
    for _ in range(draw(st.integers(0, 4))):
        places = list(paths(tree))
        if not places:
            break
        _mutate(draw, tree, draw(st.sampled_from(places)))
    return tree


def _mutate(draw: st.DrawFn, tree: Any, place: Path) -> None:
    *above, key = place
    holder = tree
    for each in above:
        holder = holder[each]
    match draw(st.sampled_from(["drop", "rename", "retype", "splice", "deepen", "copy", "extend"])):
        case "drop":
            del holder[key]
        case "rename" if isinstance(holder, dict):
            holder[draw(st.sampled_from(KEYS))] = holder.pop(key)
        case "splice":
            other = TREES[draw(st.sampled_from(NAMES))]
            found = other
            for each in draw(st.sampled_from(list(paths(other)))):
                found = found[each]
            holder[key] = deepcopy(found)
        case "deepen":
            kind = draw(st.sampled_from(["list", "map", "parallel", "sequence"]))
            for _ in range(draw(st.integers(1, 70))):
                holder[key] = [holder[key]] if kind == "list" else {kind: [holder[key]]}
        case "copy" if isinstance(holder, list):
            # The very same object twice, which is written as an anchor and an alias.
            holder.insert(draw(st.integers(0, len(holder))), holder[int(key)])
        case "extend":
            tree["extends"] = draw(
                st.sampled_from(["base", ["base", "middle"], "middle@1", "main"])
            )
        case _:
            holder[key] = draw(values)


def written(tree: Any) -> str:
    """Return ``tree`` as YAML."""
    return yaml.safe_dump(tree, sort_keys=False, allow_unicode=True)


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Draw a document whose lines were moved, repeated or cut, so that it may be no YAML at all."""
    lines = TEXTS[draw(st.sampled_from(NAMES))].splitlines()
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(lines) - 1))
        match draw(st.sampled_from(["repeat", "cut", "indent", "insert", "anchor"])):
            case "repeat":
                lines.insert(at, lines[at])
            case "cut":
                lines[at] = lines[at][: draw(st.integers(0, len(lines[at])))]
            case "indent":
                lines[at] = " " * draw(st.integers(1, 3)) + lines[at]
            case "anchor":
                sign = draw(
                    st.sampled_from(["&a ", "*a", "!!int ", "<<: ", "? ", "| ", "> ", "---"])
                )
                lines[at] = lines[at].replace(": ", f": {sign}", 1)
            case _:
                lines.insert(at, draw(st.text(max_size=30)))
    return "\n".join(lines)


@st.composite
def libraries(draw: st.DrawFn) -> dict[str, str]:
    """Draw what may be extended: documents that extend each other, or are broken themselves."""
    found = {}
    for name, parent in (
        ("base", "middle"),
        ("middle", draw(st.sampled_from(["base", "top", ""]))),
    ):
        tree = draw(trees())
        if isinstance(tree, dict):
            tree = {
                "template": name,
                **{key: value for key, value in tree.items() if key != "scenario"},
            }
            if parent:
                tree["extends"] = parent
        found[name] = written(tree)
    return found

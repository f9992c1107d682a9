"""What composition promises of all documents: sameness, order, and the origin of every value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from test_coordination.adapters.documents.composition.compose import Composed, compose
from test_coordination.adapters.documents.composition.explain import explain
from test_coordination.adapters.documents.reader import read
from test_coordination.adapters.documents.tree import Tree, TreeList, TreeMap
from test_coordination.application.definitions import Shelf
from test_coordination.domain.errors import Mark
from test_coordination.domain.scenario import Part

FEW = settings(max_examples=40, deadline=None)

names = st.sampled_from(["a", "b", "c", "d"])
plain = st.one_of(st.integers(0, 9), st.booleans(), st.sampled_from(["5s", "no", "x: y", "a\nb"]))
data = st.recursive(
    plain,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(names, inner, max_size=3),
    max_leaves=5,
)
flags = st.fixed_dictionaries({}, optional={"replace": st.just(value=True)})


@st.composite
def entries(draw: st.DrawFn, depth: int = 1) -> list[dict[str, Any]]:
    """Draw steps: each of a kind, some with ids, which are never used twice."""
    drawn = []
    for name in draw(st.lists(st.sampled_from(["", *"abcdef"]), max_size=4, unique=True)):
        entry: dict[str, Any] = {"id": name} if name else {}
        kind = draw(st.sampled_from(["wait", "action", "parallel", "background"]))
        match kind:
            case "wait":
                entry |= {"wait": draw(plain)}
            case "action":
                entry |= {"action": "a.b", "with": draw(st.dictionaries(names, data, max_size=3))}
            case "parallel" if depth:
                inner = draw(entries(depth - 1))
                entry |= {"parallel": [one for one in inner if one.get("id") != name]}
            case _:
                entry |= {"background": {"action": "a.b"}}
        drawn.append(entry)
    return drawn


bodies = st.fixed_dictionaries(
    {},
    optional={
        "title": plain,
        "tags": st.lists(names, max_size=3, unique=True),
        "timeout": plain,
        "resources": st.dictionaries(names, data, max_size=3),
        "probes": st.dictionaries(names, st.dictionaries(names, data, max_size=2), max_size=3),
        "steps": entries(),
        "steady_state": entries(0),
    },
)


def written(head: Mapping[str, object], body: Mapping[str, object]) -> str:
    """Return a document as a person might have written it."""
    return explain(_planted({**head, "version": 1, **body})).text


def _planted(value: object) -> Any:
    at = Mark("", 1, 1)
    if isinstance(value, dict):
        tree = TreeMap(at)
        for key, inner in value.items():
            tree.put(key, _planted(inner), key_mark=at, mark=at)
        return tree
    if isinstance(value, list):
        items = TreeList(at)
        for inner in value:
            items.add(_planted(inner), at)
        return items
    return value


def joined(root: Mapping[str, object], **parents: Mapping[str, object]) -> Composed:
    """Return a document of ``root`` that extends ``parents`` in their order."""
    texts = {name: written({"template": name}, body) for name, body in parents.items()}
    text = written({"scenario": "main", "extends": list(parents)}, root)
    parts = [Part(name=name, file=f"{name}.yaml", text=body) for name, body in texts.items()]
    tree = read(text, file="main.yaml")
    return compose(tree, file="main.yaml", library=Shelf(parts=tuple(parts)))


@FEW
@given(bodies, bodies, bodies)
def test_composing_twice_gives_the_same(
    root: dict[str, Any], first: dict[str, Any], second: dict[str, Any]
) -> None:
    once = joined(root, one=first, two=second)
    twice = joined(root, one=first, two=second)

    assert once == twice
    assert explain(once.tree) == explain(twice.tree)


@FEW
@given(bodies, bodies)
def test_what_is_resolved_and_read_again_gives_itself(
    root: dict[str, Any], parent: dict[str, Any]
) -> None:
    resolved = joined(root, one=parent).tree

    again = compose(read(explain(resolved).text, file="again.yaml"), file="", library=None)

    assert not again.problems
    assert again.tree == resolved
    assert explain(again.tree).text == explain(resolved).text


@FEW
@given(bodies, bodies)
def test_extending_the_same_content_adds_nothing_but_what_has_no_id(
    root: dict[str, Any], parent: dict[str, Any]
) -> None:
    assume(len(_ids(parent)) == len(set(_ids(parent))))

    once = joined(root, one=parent).tree
    twice = joined(root, one=parent, two=_known(parent)).tree

    assert _known(once) == _known(twice)


def _known(value: Any) -> Any:
    """Return a document without the entries that have no id, which are always new."""
    if isinstance(value, dict):
        return {
            key: [_known(one) for one in inner if "id" in one] if key in LISTS else _known(inner)
            for key, inner in value.items()
        }
    return value


def _ids(value: Any) -> list[str]:
    """Return the ids in a document, each as often as it comes."""
    if isinstance(value, list):
        return [name for one in value for name in _ids(one)]
    if not isinstance(value, dict):
        return []
    inner = [name for key, one in value.items() if key in LISTS for name in _ids(one)]
    return [*([value["id"]] if "id" in value else []), *inner]


LISTS = {"steps", "steady_state", "parallel"}


@FEW
@given(bodies, bodies, bodies)
def test_parents_that_share_nothing_may_be_named_in_any_order(
    root: dict[str, Any], first: dict[str, Any], second: dict[str, Any]
) -> None:
    second = {key: value for key, value in second.items() if key not in first}

    there = joined(root, one=first, two=second).tree
    back = joined(root, two=second, one=first).tree

    assert there == back


@FEW
@given(bodies, bodies, st.randoms(use_true_random=False))
def test_the_order_of_keys_in_a_map_does_not_matter(
    root: dict[str, Any], parent: dict[str, Any], chance: Any
) -> None:
    def mixed(value: Any) -> Any:
        if isinstance(value, dict):
            keys = list(value)
            chance.shuffle(keys)
            return {key: mixed(value[key]) for key in keys}
        return [mixed(one) for one in value] if isinstance(value, list) else value

    assert joined(mixed(root), one=mixed(parent)).tree == joined(root, one=parent).tree


@FEW
@given(bodies, bodies, bodies)
def test_each_value_is_found_again_at_the_place_that_it_is_said_to_come_from(
    root: dict[str, Any], first: dict[str, Any], second: dict[str, Any]
) -> None:
    texts = {
        "main.yaml": written({"scenario": "main", "extends": ["one", "two"]}, root),
        "one.yaml": written({"template": "one"}, first),
        "two.yaml": written({"template": "two"}, second),
    }
    origins = {
        mark: value
        for file, text in texts.items()
        for mark, value in _scalars(read(text, file=file))
    }

    resolved = joined(root, one=first, two=second).tree

    for mark, value in _scalars(resolved):
        hoisted = value is True and mark not in origins
        assert hoisted or (type(origins[mark]), origins[mark]) == (type(value), value)


def _scalars(node: Tree) -> list[tuple[Mark, object]]:
    found: list[tuple[Mark, object]] = []
    if isinstance(node, TreeMap):
        for key, value in node.items():
            found += _leaf(value, node.value_marks[key])
    elif isinstance(node, TreeList):
        for value, mark in zip(node, node.marks, strict=True):
            found += _leaf(value, mark)
    return found


def _leaf(value: Tree, mark: Mark) -> list[tuple[Mark, object]]:
    return _scalars(value) if isinstance(value, TreeMap | TreeList) else [(mark, value)]


@FEW
@given(bodies, bodies, flags)
def test_what_is_replaced_is_not_in_the_result(
    root: dict[str, Any], parent: dict[str, Any], flag: dict[str, Any]
) -> None:
    if "resources" in root and "resources" in parent:
        laid = joined({**root, "resources": {**root["resources"], **flag}}, one=parent).tree

        expected = root["resources"] if flag else _over(parent["resources"], root["resources"])
        assert laid["resources"] == expected


def _over(base: Any, patch: Any) -> Any:
    """Lay a patch over a base, as the language describes it."""
    if not isinstance(base, dict) or not isinstance(patch, dict):
        return patch
    return {**base, **{key: _over(base.get(key), value) for key, value in patch.items()}}

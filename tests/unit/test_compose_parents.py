"""What a document extends: how it is found, in which order it counts, and what is refused."""

from __future__ import annotations

from support.compose_scene import composed, part, sentences, told, whole
from test_coordination.adapters.documents.composition.compose import DEPTH_MAX, PARENTS_MAX, compose
from test_coordination.adapters.documents.reader import read
from test_coordination.domain.errors import Mark
from test_coordination.domain.scenario import Part, Reference


def template(name: str, body: str = "", *, extends: str = "") -> str:
    above = f"extends: {extends}\n" if extends else ""
    return f"template: {name}\nversion: 1\n{above}{body}"


def scenario(extends: str, body: str = "") -> str:
    return f"scenario: main\nversion: 1\nextends: {extends}\n{body}"


def test_of_several_parents_the_later_one_wins() -> None:
    first = template("first", "title: first\nowner: first\n")
    second = template("second", "title: second\n")

    tree = whole(scenario("[first, second]"), first, second)

    assert (tree["title"], tree["owner"]) == ("second", "first")


def test_a_scenario_can_be_extended_as_a_template_can() -> None:
    other = "scenario: other\nversion: 1\nsteps: [{id: a, wait: 1s}]\n"

    assert whole(scenario("other"), other)["steps"] == [{"id": "a", "wait": "1s"}]


def test_a_parent_counts_behind_its_own_parents() -> None:
    oldest = template("oldest", "title: oldest\nowner: oldest\ntags: [c]\n")
    older = template("older", "title: older\ntags: [b]\n", extends="oldest")

    found = composed(scenario("older", "tags: [a]\n"), older, oldest)

    assert (found.tree["title"], found.tree["owner"]) == ("older", "oldest")
    assert found.tree["tags"] == ["c", "b", "a"]
    assert [each.name for each in found.parts] == ["oldest", "older"]
    assert found.extends == (Reference(name="older", mark=Mark("main.yaml", 3, 10)),)


def test_an_ancestor_that_is_met_twice_counts_once_and_undoes_nothing() -> None:
    top = template("top", "timeout: 1m\nsteps: [{wait: 1s}, {id: a, wait: 2s}]\n")
    left = template("left", "timeout: 2m\nsteps: {remove: [a]}\n", extends="top")
    right = template("right", "owner: right\n", extends="top")

    found = composed(scenario("[left, right]"), top, left, right)

    assert [each.name for each in found.parts] == ["top", "left", "right"]
    assert (found.tree["timeout"], found.tree["owner"]) == ("2m", "right")
    assert found.tree["steps"] == [{"wait": "1s"}]


def test_two_parents_may_remove_the_same() -> None:
    top = template("top", "steps: [{id: a, wait: 2s}]\nprobes: {p: {http: x}}\n")
    less = "steps: {remove: [a]}\nprobes: {remove: [p]}\n"
    left, right = template("left", less, extends="top"), template("right", less, extends="top")

    tree = whole(scenario("[left, right]"), top, left, right)

    assert (tree["steps"], tree["probes"]) == ([], {})


def test_a_version_is_extended_where_it_is_asked_for_and_else_the_newest() -> None:
    versions = [part(template("base", f"title: v{n}\n"), version=n) for n in (1, 3, 2)]

    assert whole(scenario("base"), *versions)["title"] == "v3"
    assert whole(scenario("base@2"), *versions)["title"] == "v2"


def test_an_older_version_of_its_own_name_may_be_extended() -> None:
    older = part("scenario: main\nversion: 1\ntitle: old\n", version=1)

    assert whole(scenario("main@1"), older)["title"] == "old"


def test_an_unknown_parent_is_told_with_the_name_that_is_near() -> None:
    base = template("service-restart")

    assert told(scenario("[service-restart, service-restrat]"), base) == [
        "main.yaml:3:28 scenario.unknown_parent"
    ]
    assert sentences(scenario("service-restrat"), base) == [
        "no scenario, template or suite is named 'service-restrat'; did you mean 'service-restart'?"
    ]


def test_an_unknown_version_is_told_as_such() -> None:
    assert sentences(scenario("base@7"), part(template("base"), version=1)) == [
        "there is no version 7 of 'base'; leave '@7' out for the newest one"
    ]


def test_without_a_library_nothing_can_be_extended() -> None:
    tree = read(scenario("base"), file="main.yaml")

    (problem,) = compose(tree, file="main.yaml", library=None).problems

    assert (str(problem.mark), problem.code) == ("main.yaml:3:10", "scenario.unknown_parent")


def test_a_circle_is_named_whole_with_its_files() -> None:
    a = template("a", extends="b")
    b = template("b", extends="a")

    assert sentences(scenario("a"), a, b) == [
        "these extend each other: a (a.yaml) -> b (b.yaml) -> a; take one 'extends' away"
    ]
    assert told(scenario("a"), a, b) == ["a.yaml:3:10 scenario.cycle"]


def test_whatever_leads_back_to_the_document_itself_is_a_circle() -> None:
    b = template("b", extends="main")

    assert told("scenario: main\nversion: 1\nextends: main\n") == ["main.yaml:3:10 scenario.cycle"]
    assert sentences(scenario("b"), b) == [
        "these extend each other: main (main.yaml) -> b (b.yaml) -> main; take one 'extends' away"
    ]


def test_suites_and_topologies_cannot_be_extended() -> None:
    suite = "suite: s\nversion: 1\nscenarios: []\n"
    topology = Part(name="t", file="t.yaml", text="topology: t\nversion: 1\n")

    assert told(scenario("[s, t]"), suite, topology) == [
        "main.yaml:3:11 scenario.wrong_parent",
        "main.yaml:3:14 scenario.wrong_parent",
    ]


def test_a_parent_that_is_broken_is_told_of_in_its_own_file() -> None:
    broken = Part(name="b", file="b.yaml", text="template: b\nversion: 1\nsteps: [\n")
    fine = template("fine", "title: fine\n")

    found = composed(scenario("[b, fine]"), broken, fine)

    assert [(each.mark.file, each.code) for each in found.problems] == [("b.yaml", "yaml.syntax")]
    assert found.tree["title"] == "fine"


def test_a_parent_of_another_version_of_the_language_is_refused() -> None:
    assert told(
        scenario("[a, b, c]"),
        "template: a\nversion: 2\n",
        "template: b\n",
        "template: c\nversion: true\n",
    ) == [
        "a.yaml:2:10 scenario.unsupported_version",
        "b.yaml:1:1 scenario.unsupported_version",
        "c.yaml:2:10 scenario.unsupported_version",
    ]


def test_all_mistakes_are_told_at_once_each_in_its_file() -> None:
    a = template("a", "steps: {remove: [x]}\n", extends="[nowhere, 5]")

    assert sorted(told(scenario("[a, a, 'B A', gone]"), a)) == [
        "a.yaml:3:11 scenario.unknown_parent",
        "a.yaml:3:20 scenario.bad_name",
        "a.yaml:4:18 scenario.unknown_id",
        "main.yaml:3:14 scenario.duplicate",
        "main.yaml:3:18 scenario.bad_name",
        "main.yaml:3:24 scenario.unknown_parent",
    ]


def test_an_empty_list_of_parents_is_refused() -> None:
    assert told(scenario("[]")) == ["main.yaml:3:10 scenario.empty"]


def chain(length: int) -> list[str]:
    """Return templates that extend each other: t1 extends t2, and so on to the last one."""
    body = [template(f"t{n}", extends=f"t{n + 1}") for n in range(1, length)]
    return [*body, template(f"t{length}", "title: the last\n")]


def test_only_so_many_documents_may_stand_behind_each_other() -> None:
    assert whole(scenario("t1"), *chain(DEPTH_MAX))["title"] == "the last"
    assert told(scenario("t1"), *chain(DEPTH_MAX + 1)) == [
        f"t{DEPTH_MAX}.yaml:3:10 scenario.too_deep"
    ]


def test_only_so_many_documents_may_be_extended_in_all() -> None:
    parents = [template(f"t{n}", f"tags: [t{n}]\n") for n in range(PARENTS_MAX + 1)]
    names = [f"t{n}" for n in range(PARENTS_MAX + 1)]

    most = whole(scenario(f"[{', '.join(names[:PARENTS_MAX])}]"), *parents)
    (problem,) = composed(scenario(f"[{', '.join(names)}]"), *parents).problems

    assert len(most["tags"]) == PARENTS_MAX
    assert problem.code == "scenario.too_many_parents"


def test_only_so_much_may_be_extended_in_all() -> None:
    body = "tags: [" + ", ".join(["x"] * 30_000) + "]\n"

    problems = told(scenario("[a, b, c]"), *(template(name, body) for name in "abc"))

    assert problems == ["main.yaml:3:14 scenario.too_large"]


def test_the_same_texts_give_the_same_tree() -> None:
    parents = [template("a", "tags: [x]\n", extends="b"), template("b", "probes: {p: {q: r}}\n")]

    once, twice = (composed(scenario("[a, b]"), *parents) for _ in range(2))

    assert once == twice
    assert list(once.tree) == list(twice.tree)

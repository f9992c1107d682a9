"""The names in a scenario: those that are made up, those that are known, and those of keys."""

from __future__ import annotations

import pytest

from support.decoding import HEAD, mistakes, read, template
from test_coordination.adapters.documents.forms import parameter, part, scenario, step
from test_coordination.adapters.documents.forms.form import Form
from test_coordination.domain.errors import Mark
from test_coordination.domain.expressions import Expression
from test_coordination.domain.steps import FaultStep


def test_ids_that_were_made_up_give_way_to_all_that_were_written() -> None:
    text = f"""{HEAD}preconditions: [{{expect: "1 < 2"}}]
stop_when: [{{when: "1 > 2"}}]
steps:
  - wait: 1s
  - {{id: precondition-1, wait: 1s}}
  - {{id: stop-1, wait: 1s}}
postconditions: [{{id: step-1, expect: "1 < 2"}}]
"""
    found = read(text)

    assert found.preconditions[0].id == "precondition-1-again"
    assert found.stop_when[0].id == "stop-1-again"
    assert found.steps[0].id == "step-1-again"


def test_variables_are_known_if_they_are_allowed() -> None:
    url = '"http://${{ env.HOST }}/"'
    text = f"{HEAD}steps:\n  - {{action: http.post, with: {{url: {url}}}}}\n"

    assert read(text, environment=("HOST",)).steps
    assert mistakes(text) == [(4, 49, "expression.unknown_name")]


def test_conditions_of_steps_know_steps_below_them_but_not_made_up_ids() -> None:
    text = f"""{HEAD}steps:
  - {{wait: 1s, if: "steps.last.outcome == 'done'"}}
  - {{wait: 1s, if: "steps.step_1.outcome == 'done'"}}
  - {{id: last, wait: 1s}}
"""
    assert mistakes(text) == [(5, 21, "expression.unknown_name")]


TEMPLATE = """template: restart
version: 1
owner: trading
parameters:
  service: {type: service, abstract: true}
steady_state: [{expect: "services.exchange.instances > 0"}]
"""


def test_a_template_may_lack_steps_and_defaults() -> None:
    found = template(TEMPLATE)

    assert (found.name, found.body.owner, found.body.steps) == ("restart", "trading", ())
    assert found.body.mark == Mark("good.yaml", 1, 11)
    assert found.body.parameters[0].abstract


def test_the_steps_of_a_template_are_read_as_those_of_a_scenario() -> None:
    body = "steps:\n  - {fault: service.kill, target: '${{ parameters.service }}', hold: 1s}\n"

    (fault,) = template(TEMPLATE + body).body.steps

    assert isinstance(fault, FaultStep)
    assert isinstance(fault.target, Expression)
    assert fault.target.text == "parameters.service"


def forms() -> list[type[Form]]:
    modules = (scenario, step, part, parameter)
    found = [thing for module in modules for thing in vars(module).values()]
    kinds = [form for form in found if isinstance(form, type) and issubclass(form, Form)]
    return [form for form in kinds if form is not Form]


@pytest.mark.parametrize("form", forms(), ids=lambda form: form.__name__)
def test_every_key_is_described_in_one_line(form: type[Form]) -> None:
    for name, field in form.model_fields.items():
        assert field.description, f"{form.__name__}.{name} has no description"
        assert "\n" not in field.description
        assert field.description[0].islower(), field.description
        assert not field.description.endswith("."), field.description

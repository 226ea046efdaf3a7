"""The parameters that forms ask for, and that they fit what the pipeline takes."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import ParamValidationError
from airflow.sdk.definitions.param import Param, ParamsDict
from jinja2 import Environment, StrictUndefined
from jinja2.nativetypes import NativeEnvironment

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.links import OWNER_KINDS
from airflow_bitrix.core.rules import RULES, rules_for
from airflow_bitrix.operators.link_cleanup import Bitrix24PlanLinkCleanupOperator
from airflow_bitrix.operators.shared.parameters import optional_share, time_zone
from airflow_bitrix.pipelines.approval_form import APPROVAL, approval_params
from airflow_bitrix.pipelines.carry_out import carry_out
from airflow_bitrix.pipelines.trigger_forms import (
    BY_PARAMS,
    GUARDS,
    OWNERS,
    RULE_OPTIONS,
    owner_params,
    plan_params,
    rule_option_params,
    rules_param,
)


def test_a_form_begins_with_a_dry_run_and_an_approval() -> None:
    assert ParamsDict(plan_params())["dry_run"] is True
    assert ParamsDict(approval_params())["approval"] == "always"
    params = {**plan_params(), **approval_params()}
    assert all(param.schema["title"] and param.description for param in params.values())


def test_a_form_can_be_sent_as_it_begins() -> None:
    """The UI takes an empty text for a missing answer, and offers no button then."""
    texts = [param for param in plan_params().values() if param.schema["type"] == "string"]
    assert texts
    assert all(param.value for param in texts)


def test_what_one_run_was_given_is_no_default_of_another_dag() -> None:
    ParamsDict(plan_params())["dry_run"] = False
    assert ParamsDict(plan_params())["dry_run"] is True


def test_every_answer_of_the_form_goes_to_an_argument_of_the_pipeline() -> None:
    arguments = inspect.signature(carry_out).parameters
    assert set(BY_PARAMS | APPROVAL) <= set(arguments)
    named = {text.split(".")[1].split()[0] for text in BY_PARAMS.values()}
    assert set(plan_params()) - named == {"max_changes", "max_share", "bitrix24_conn_id"}
    assert named < set(plan_params())
    assert {text.split(".")[1].split()[0] for text in APPROVAL.values()} == set(approval_params())


@pytest.mark.attack
def test_who_triggers_lifts_no_approval_that_the_author_does_not_ask_about() -> None:
    """Airflow takes what a trigger names besides the form for parameters, too."""
    told = {name for one in (BY_PARAMS, GUARDS) for name in one}
    assert not told & {"approval", "approve_over", "assigned_users", "artifacts_path", "wait_for_turn"}
    texts = " ".join((*BY_PARAMS.values(), *GUARDS.values(), *OWNERS.values()))
    forms = {**plan_params(), **owner_params("lead")}
    assert set(re.findall(r"params\.(\w+)", texts)) <= set(forms)
    with pytest.raises(InvalidInput, match="dry_run, max_changes"):
        plan_params(approval="never")
    assert ParamsDict(approval_params(approval="over_limit", approve_over=5))["approve_over"] == 5


def test_a_dag_may_have_defaults_of_its_own() -> None:
    assert ParamsDict(plan_params(max_changes=50, canary=3))["max_changes"] == 50
    with pytest.raises(InvalidInput, match="dry_run, max_changes"):
        plan_params(max_change=50)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("dry_run", "no"),
        ("approval", "sometimes"),
        ("max_share", 150),
        ("max_share", -5),
        ("max_failure_share", 100.5),
        ("max_failure_share", -0.1),
        ("canary", -1),
        ("canary", 10**30),
        ("max_failed", 2**65),
        ("approve_over", 2**65),
        ("canary", 2.5),
        ("max_changes", None),
    ],
)
def test_an_answer_that_cannot_be_right_is_refused_by_the_form(name: str, value: Any) -> None:
    with pytest.raises(ParamValidationError, match=name):
        ParamsDict({**plan_params(), **approval_params()})[name] = value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("quiet_hours", None),
        ("quiet_hours", "08:00-18:30"),
        ("quiet_hours", "8-20"),  # for the plan to refuse, in a sentence and not by a pattern
        ("max_share", None),
        ("max_share", 0.25),
        ("max_share", 100),
        ("timezone", "America/Argentina/Ushuaia"),
    ],
)
def test_an_answer_may_be_left_open_or_be_given(name: str, value: Any) -> None:
    params = ParamsDict(plan_params())
    params[name] = value
    assert params[name] == value


def test_a_number_out_of_bounds_is_refused_by_what_was_typed_and_not_moved_by_the_browser() -> None:
    """The UI moves a number onto its ``minimum`` or ``maximum`` when its field is left: -5 days become 0."""
    params = {**plan_params(), **approval_params(), **owner_params("lead"), **rule_option_params()}
    numbers = {name: one for name, one in params.items() if {"integer", "number"} & {*_types(one)}}
    assert {"max_share", "closed_days", "older_than_days", "max_changes"} <= numbers.keys()
    for name, param in numbers.items():
        assert not {"minimum", "maximum"} & param.schema.keys()
        (bounds,) = param.schema["allOf"]
        for typed in (bounds["minimum"] - 5, bounds["maximum"] + 1):
            with pytest.raises(ParamValidationError, match=rf"{name}: {typed} is (less|greater) than"):
                ParamsDict({name: param})[name] = typed


def _types(param: Param) -> list[str]:
    told = param.schema["type"]
    return [told] if isinstance(told, str) else told


@pytest.mark.parametrize("native", [True, False])
def test_shares_are_asked_for_in_percent_and_have_no_other_meaning(native: bool) -> None:  # noqa: FBT001
    template = (NativeEnvironment() if native else Environment(autoescape=False)).from_string  # noqa: S701
    for text in (GUARDS["max_share"], BY_PARAMS["max_failure_share"]):
        for typed, meant in ((20, 0.2), (0.5, 0.005), (1, 0.01), (100, 1), (0, 0), (None, None)):
            told = template(text).render(params={"max_share": typed, "max_failure_share": typed})
            assert optional_share("max_share", told) == (None if meant is None else pytest.approx(meant))


def test_time_zones_that_the_form_proposes_are_there() -> None:
    zone = plan_params()["timezone"]
    assert zone.value in zone.schema["examples"]
    assert [time_zone("timezone", name).key for name in zone.schema["examples"]] == zone.schema["examples"]
    assert "enum" not in zone.schema


def test_every_option_of_a_rule_that_the_form_asks_for_goes_to_the_rule() -> None:
    """And each rule takes what the form begins with."""
    for kind in OWNER_KINDS:
        params = rule_option_params(kind)
        marks = {name: f"<{name}>" for name in params}
        given = _options(marks)
        told = [one for options in given.values() for one in options.values() if one]
        assert sorted(told) == sorted(marks.values())
        begun = _options({name: param.value for name, param in params.items()})
        fitting = [name for name in begun if kind in RULES[name].kinds]
        assert rules_for(kind, fitting, begun).keys() == set(fitting)


def _options(params: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    template = NativeEnvironment(undefined=StrictUndefined).from_string
    return {
        rule: {name: template(text).render(params=params) for name, text in texts.items()}
        for rule, texts in RULE_OPTIONS.items()
    }


@pytest.mark.parametrize("kind", ["lead", "deal"])
def test_every_answer_about_owners_goes_to_the_clean_up(kind: Any) -> None:
    assert set(OWNERS) <= set(Bitrix24PlanLinkCleanupOperator.template_fields)
    assert {*owner_params(kind), "timezone"} == set(OWNERS)
    for name, param in owner_params(kind).items():
        assert f"params.{name}" in OWNERS[name]
        assert param.schema["section"] == f"Which {kind}s"


@pytest.mark.parametrize("name", ["created_from", "created_to"])
def test_a_day_is_a_date_or_left_open(name: str) -> None:
    params = ParamsDict(owner_params("lead"))
    assert params.get_param(name).schema["format"] == "date"
    for right in (None, "2026-11-30"):
        params[name] = right
    for wrong in ("", "yesterday", "30.11.2026", "2026-11-31"):
        with pytest.raises(ParamValidationError, match=name):
            params[name] = wrong


def test_rules_are_chosen_by_their_titles() -> None:
    params = ParamsDict({"rules": rules_param("lead", ["release_repeat_leads"])})
    assert params["rules"] == ["release_repeat_leads"]
    for wrong in ([], ["nonsense"], "release_repeat_leads"):
        with pytest.raises(ParamValidationError, match="rules"):
            params["rules"] = wrong

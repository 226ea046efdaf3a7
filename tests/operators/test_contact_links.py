"""The thirty operators: one rule for all families, and each against the sandbox."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import DAG
from hypothesis import given
from hypothesis import strategies as st

from airflow_bitrix.core.errors import Bitrix24Error, InvalidInput, Rejected
from airflow_bitrix.core.families import FAMILIES, family_of
from airflow_bitrix.core.methods import METHODS
from airflow_bitrix.operators import contact_links
from airflow_bitrix.operators.contact_links import Bitrix24MethodOperator, Bitrix24Operator
from airflow_bitrix.sandbox.server import Sandbox
from tests.answers import VALUES, pages
from tests.moved import DagSerialization

LINKING = [family for family in FAMILIES.values() if family.prefix]
"""Those that have link methods."""

ABOUT_AN_OWNER = [method for method, about in METHODS.items() if about.verb != "fields"]


def arguments_of(method: str) -> dict[str, Any]:
    """Arguments that an operator takes, all that there are."""
    family = family_of(METHODS[method].kind)
    one = {f"{family.linked}_id": 7}
    found: dict[str, dict[str, Any]] = {
        "add": {"owner_id": 5, **one, "sort": 30, "is_primary": True},
        "delete": {"owner_id": 5, **one},
        "items.get": {"owner_id": 5},
        "items.set": {"owner_id": 5, "items": [7, {family.key: 8, "IS_PRIMARY": "Y", "SORT": 5}]},
        "items.delete": {"owner_id": 5},
        "fields": {},
    }
    return found[METHODS[method].verb]


def operator_of(method: str) -> type[Bitrix24Operator]:
    words = method.removeprefix("crm.").split(".")
    name = f"Bitrix24{''.join(word.capitalize() for word in words)}Operator"
    found: type[Bitrix24Operator] = getattr(contact_links, name)
    return found


def make(method: str, **arguments: Any) -> Bitrix24Operator:
    return operator_of(method)(task_id="it", **arguments)


@pytest.mark.parametrize("method", METHODS)
def test_each_method_has_an_operator_of_its_name(method: str) -> None:
    operator = operator_of(method)
    arguments = arguments_of(method)
    assert operator.api_method == method
    assert operator.__name__ in contact_links.__all__
    assert f"``{method}``" in (operator.__doc__ or "").splitlines()[0]
    assert set(operator.template_fields) == {"bitrix24_conn_id", *arguments}
    assert make(method, **arguments).bitrix24_conn_id == "bitrix24_default"


@pytest.mark.parametrize("method", METHODS)
def test_each_operator_says_what_its_arguments_are(method: str) -> None:
    documented = "".join(
        (base.__dict__.get("__doc__") or "") + (inspect.getdoc(base.__dict__.get("__init__")) or "")
        for base in operator_of(method).__mro__
        if base.__module__.startswith("airflow_bitrix.operators")
    )
    for argument in arguments_of(method):
        assert f":param {argument}:" in documented


@pytest.mark.parametrize("method", METHODS)
def test_each_operator_is_mapped_rendered_and_serialised(method: str) -> None:
    arguments = arguments_of(method)
    text: Any = dict.fromkeys(arguments, "{{ 41 + 1 }}")
    with DAG("family", schedule=None) as dag:
        make_one = operator_of(method)
        make_one.partial(task_id="mapped").expand(
            **{key: [value] for key, value in arguments.items()} or {"bitrix24_conn_id": ["bitrix24_default"]}
        )
        make_one(task_id="plain", **arguments)
        templated = make_one(task_id="templated", **text)
    serialised = json.dumps(DagSerialization.to_dict(dag))
    restored = DagSerialization.from_dict(json.loads(serialised))
    assert set(restored.task_dict) == {"mapped", "plain", "templated"}
    templated.render_template_fields({})
    assert [getattr(templated, key) for key in arguments] == ["42"] * len(arguments)


@pytest.fixture(scope="module")
def empty_sandbox() -> Iterator[Sandbox]:
    with Sandbox(plan="self_hosted") as sandbox:
        yield sandbox


@pytest.fixture
def portal(empty_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """A sandbox with contacts 1 to 9, lead 1 and deal 1 linked to contact 1, behind the connection."""
    sandbox = empty_sandbox
    sandbox.reset()
    for number in range(1, 10):
        sandbox.state.add("contact", {"NAME": f"Contact {number}"})
    sandbox.state.add("lead", {"TITLE": "Lead", "CONTACT_IDS": [1]})
    sandbox.state.add("deal", {"TITLE": "Deal", "CONTACT_IDS": [1]})
    found = {"conn_type": "bitrix24", "password": sandbox.webhook_url, "extra": {"plan": "self_hosted"}}
    monkeypatch.setenv("AIRFLOW_CONN_BITRIX24_DEFAULT", json.dumps(found))
    return sandbox


@pytest.mark.parametrize("kind", ["lead", "deal"])
def test_each_verb_does_on_the_portal_what_it_says(kind: str, portal: Any) -> None:
    def run(verb: str, **arguments: Any) -> Any:
        return make(f"crm.{kind}.contact.{verb}", **arguments).execute({})

    def links() -> list[list[Any]]:
        found: list[list[Any]] = portal.links(kind)["1"]["links"]
        return found

    assert run("add", owner_id="1", contact_id="2") is True
    assert run("add", owner_id=1, contact_id=2, sort=77, is_primary=True) is False
    assert links() == [[1, 10, "Y", 0], [2, 20, "N", 0]]
    assert run("add", owner_id=1, contact_id=3, sort=5, is_primary="Y") is True
    assert links() == [[3, 5, "Y", 0], [1, 10, "N", 0], [2, 20, "N", 0]]
    assert run("delete", owner_id=1, contact_id=3) is True
    assert run("delete", owner_id=1, contact_id=3) is False
    assert links() == [[1, 10, "Y", 0], [2, 20, "N", 0]]
    mixed = [4, {"CONTACT_ID": 5, "IS_PRIMARY": True, "SORT": 5}, "6"]
    assert run("items.set", owner_id=1, items=mixed) is True
    assert links() == [[5, 5, "Y", 0], [4, 10, "N", 0], [6, 30, "N", 0]]
    got = run("items.get", owner_id=1)
    assert got[0] == {"CONTACT_ID": 5, "SORT": 5, "ROLE_ID": 0, "IS_PRIMARY": "Y"}
    assert run("items.delete", owner_id=1) is True
    assert run("items.delete", owner_id=1) is True
    assert run("items.get", owner_id=1) == []
    assert run("items.set", owner_id=1, items=got) is True
    assert run("items.get", owner_id=1) == got
    assert list(run("fields")) == ["SORT", "IS_PRIMARY", "CONTACT_ID"]


@pytest.mark.parametrize(
    "owner_id", ["", "0", 0, -1, "-1", "abc", None, True, 1.0, [1], 2**31, "2147483648", 10**18]
)
@pytest.mark.parametrize("method", ABOUT_AN_OWNER)
def test_an_owner_id_that_is_none_is_refused_before_anything_is_sent(
    method: str, owner_id: Any, portal: Any
) -> None:
    arguments = {**arguments_of(method), "owner_id": owner_id}
    with pytest.raises(
        InvalidInput, match=r"^owner_id: .* accepted: a whole number from 1 to 2147483647$"
    ) as refused:
        make(method, **arguments).execute({})
    assert isinstance(refused.value, AirflowFailException)
    assert portal.stats()["admitted"] == 0


@pytest.mark.parametrize(
    "items", [[], (), "1,2", {"CONTACT_ID": 1}, [[1]], [{"contactId": 1}], [1, 1], [0], [2**31], [5, 10**30]]
)
@pytest.mark.parametrize("kind", ["lead", "deal"])
def test_items_that_would_wipe_all_links_are_refused_before_anything_is_sent(
    kind: str, items: Any, portal: Any
) -> None:
    with pytest.raises(InvalidInput, match=r"^items") as refused:
        make(f"crm.{kind}.contact.items.set", owner_id=1, items=items).execute({})
    assert isinstance(refused.value, AirflowFailException)
    assert portal.stats()["admitted"] == 0
    assert portal.links(kind)["1"]["links"] == [[1, 10, "Y", 0]]


def test_the_portal_s_own_text_reaches_the_user(portal: Any) -> None:
    with pytest.raises(Rejected, match=r"crm\.lead\.contact\.add \(lead 99\): the portal refused: Not found"):
        make("crm.lead.contact.add", owner_id=99, contact_id=1).execute({})
    portal.set_switches(limited_user=True)
    with pytest.raises(Rejected, match=r"ACCESS_DENIED: Access denied"):
        make("crm.lead.contact.items.get", owner_id=1 << 30).execute({})


@pytest.mark.usefixtures("portal")
def test_the_method_operator_calls_anything_else() -> None:
    assert Bitrix24MethodOperator(task_id="it", api_method="profile").execute({})["ADMIN"] is True
    got = Bitrix24MethodOperator(task_id="it", api_method="crm.lead.get", api_params={"id": 1}).execute({})
    assert got["TITLE"] == "Lead"


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        ({"api_method": "../profile"}, "api_method"),
        ({"api_method": ""}, "api_method"),
        ({"api_method": None}, "api_method"),
        ({"api_method": "profile", "api_params": "{}"}, "api_params"),
        ({"api_method": "profile", "api_params": [1]}, "api_params"),
    ],
)
def test_the_method_operator_refuses_what_is_no_method_and_no_parameters(
    arguments: dict[str, Any], argument: str, portal: Any
) -> None:
    with pytest.raises(InvalidInput, match=rf"^{argument}: "):
        Bitrix24MethodOperator(task_id="it", **arguments).execute({})
    assert portal.stats()["admitted"] == 0


READING = [method for method, about in METHODS.items() if about.verb in ("items.get", "fields")]


@pytest.mark.drawn
@given(st.sampled_from(READING), pages({"CONTACT_ID": 7, "SORT": 10, "IS_PRIMARY": "Y"}) | VALUES)
def test_what_an_operator_reads_is_a_line_of_the_log_or_one_clear_error(method: str, told: Any) -> None:
    operator = make(method, **arguments_of(method))
    try:
        said = f"{method}: {operator.outcome({'id': 5}, told)}"
    except Bitrix24Error as error:
        said = str(error)
    assert said.startswith(method)

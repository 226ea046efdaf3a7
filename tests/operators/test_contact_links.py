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
from airflow_bitrix.core.families import FAMILIES, Family, family_of
from airflow_bitrix.core.methods import METHODS, Verb, name
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
    """A sandbox with contacts and companies 1 to 9, behind the connection.

    Contact 1 is linked to lead, deal, quote and company 1.
    """
    sandbox = empty_sandbox
    sandbox.reset()
    for number in range(1, 10):
        sandbox.state.add("company", {"TITLE": f"Company {number}"})
        sandbox.state.add("contact", {"NAME": f"Contact {number}", "COMPANY_IDS": [1] if number == 1 else []})
    for kind in ("lead", "deal", "quote"):
        sandbox.state.add(kind, {"TITLE": kind.capitalize(), "CONTACT_IDS": [1]})
    found = {"conn_type": "bitrix24", "password": sandbox.webhook_url, "extra": {"plan": "self_hosted"}}
    monkeypatch.setenv("AIRFLOW_CONN_BITRIX24_DEFAULT", json.dumps(found))
    return sandbox


def run(method: str, **arguments: Any) -> Any:
    return make(method, **arguments).execute({})


@pytest.mark.parametrize("family", LINKING, ids=lambda family: family.kind)
def test_each_verb_does_on_the_portal_what_it_says(family: Family, portal: Any) -> None:
    one, key = f"{family.linked}_id", family.key

    def do(verb: Verb, **arguments: Any) -> Any:
        return run(name(family.kind, verb), **arguments)

    def has(*expected: tuple[int, int, str]) -> bool:
        """Whether owner 1 has these links; a company is the primary one of each contact that it has here."""
        found: list[list[Any]] = portal.links(family.kind)["1"]["links"]
        return found == [[id_, sort, "Y" if family.is_shared else flag, 0] for id_, sort, flag in expected]

    assert do("add", owner_id="1", **{one: "2"}) is True
    assert do("add", owner_id=1, **{one: 2}, sort=77, is_primary=True) is False
    assert has((1, 10, "Y"), (2, 20, "N"))
    assert do("add", owner_id=1, **{one: 3}, sort=5, is_primary="Y") is True
    assert has((3, 5, "Y"), (1, 10, "N"), (2, 20, "N"))
    assert do("delete", owner_id=1, **{one: 3}) is True
    assert do("delete", owner_id=1, **{one: 3}) is False
    assert has((1, 10, "Y"), (2, 20, "N"))
    mixed = [4, {key: 5, "IS_PRIMARY": True, "SORT": 5}, "6"]
    assert do("items.set", owner_id=1, items=mixed) is True
    assert has((5, 5, "Y"), (4, 10, "N"), (6, 30, "N"))
    got = do("items.get", owner_id=1)
    assert got[0] == {key: 5, "SORT": 5, "ROLE_ID": 0, "IS_PRIMARY": "Y"}
    assert do("items.delete", owner_id=1) is True
    assert do("items.delete", owner_id=1) is True
    assert do("items.get", owner_id=1) == []
    back = [{**row, "IS_PRIMARY": "N"} for row in got] if family.is_shared else got
    assert do("items.set", owner_id=1, items=back) is True
    assert do("items.get", owner_id=1) == got
    assert list(do("fields")) == ["SORT", "IS_PRIMARY", key]


@pytest.mark.usefixtures("portal")
@pytest.mark.parametrize("family", LINKING, ids=lambda family: family.kind)
def test_what_a_portal_says_of_an_owner_that_is_not_there(family: Family) -> None:
    one = {f"{family.linked}_id": 1}
    writing: list[tuple[Verb, dict[str, Any]]] = [
        ("add", one),
        ("delete", one),
        ("items.set", {"items": [1]}),
    ]
    for verb, arguments in writing:
        method = name(family.kind, verb)
        with pytest.raises(Rejected, match=rf"^{method} \({family.kind} 99\): the portal refused: Not found"):
            run(method, owner_id=99, **arguments)
    assert run(name(family.kind, "items.get"), owner_id=99) == []
    assert run(name(family.kind, "items.delete"), owner_id=99) is True


def test_a_company_becomes_the_primary_one_of_contacts_and_leaves_none_behind(portal: Any) -> None:
    """As the docstrings of its operators say it."""

    def employers(contact: int) -> tuple[list[tuple[int, str]], int | None]:
        found = portal.links("contact")[str(contact)]
        return [(company, flag) for company, _, flag, _ in found["links"]], found["company_id"]

    assert run("crm.contact.company.items.set", owner_id=2, items=[5, 3]) is True
    assert employers(2) == ([(5, "Y"), (3, "N")], 5)
    assert run("crm.company.contact.add", owner_id=7, contact_id=2, sort=30, is_primary=False) is True
    assert employers(2) == ([(5, "N"), (3, "N"), (7, "Y")], 7)
    assert run("crm.company.contact.delete", owner_id=7, contact_id=2) is True
    assert employers(2) == ([(5, "N"), (3, "N")], 3)
    assert run("crm.contact.company.delete", owner_id=2, company_id=5) is True
    assert employers(2) == ([(3, "N")], None)
    assert run("crm.contact.company.items.set", owner_id=2, items=[3, {"COMPANY_ID": 4, "SORT": 20}]) is True
    assert run("crm.company.contact.items.set", owner_id=4, items=[{"CONTACT_ID": 2, "SORT": 20}]) is True
    assert employers(2) == ([(3, "N"), (4, "Y")], 4)
    assert run("crm.company.contact.items.delete", owner_id=4) is True
    assert employers(2) == ([(3, "N")], 3)
    assert run("crm.company.contact.items.get", owner_id=3)[0]["IS_PRIMARY"] == "N"


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
    "items", [[], (), "1,2", {"ID": 1}, [[1]], [{"contactId": 1}], [1, 1], [0], [2**31], [5, 10**30]]
)
@pytest.mark.parametrize("family", LINKING, ids=lambda family: family.kind)
def test_items_that_would_wipe_all_links_are_refused_before_anything_is_sent(
    family: Family, items: Any, portal: Any
) -> None:
    items = {family.key: 1} if items == {"ID": 1} else items
    with pytest.raises(InvalidInput, match=r"^items") as refused:
        run(name(family.kind, "items.set"), owner_id=1, items=items)
    assert isinstance(refused.value, AirflowFailException)
    assert portal.stats()["admitted"] == 0
    assert portal.links(family.kind)["1"]["links"] == [[1, 10, "Y", 0]]


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
@given(
    st.sampled_from(READING),
    pages({"CONTACT_ID": 7, "COMPANY_ID": 7, "SORT": 10, "IS_PRIMARY": "Y"}) | VALUES,
)
def test_what_an_operator_reads_is_a_line_of_the_log_or_one_clear_error(method: str, told: Any) -> None:
    operator = make(method, **arguments_of(method))
    try:
        said = f"{method}: {operator.outcome({'id': 5}, told)}"
    except Bitrix24Error as error:
        said = str(error)
    assert said.startswith(method)

"""A raw call cannot wipe what nobody meant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_bitrix.core import methods
from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.families import family_of
from airflow_bitrix.core.raw_calls import check_raw_call
from airflow_bitrix.sandbox import batch, php
from airflow_bitrix.sandbox.calls import Answer
from tests.core.raw_calls import ALONE, ALONE_TOO, BAD, GOOD, NO_IDS, REFERENCES, UPDATES

IDS = st.integers(1, 2**31 - 1)


def passes(method: str, params: dict[str, Any]) -> bool:
    try:
        check_raw_call(method, params)
    except InvalidInput:
        return False
    return True


def test_a_call_that_says_what_the_portal_reads_passes() -> None:
    assert [call for call in (*GOOD, *ALONE, *ALONE_TOO) if not passes(*call)] == []


def test_a_call_that_the_portal_would_read_as_another_one_is_refused() -> None:
    assert [call for call in BAD if passes(*call)] == []


@pytest.mark.parametrize(
    ("method", "params", "wrong", "accepted"),
    [
        (
            "crm.lead.contact.items.delete",
            {"id": [77]},
            "id of crm.lead.contact.items.delete: [77] is not accepted",
            "a whole number from 1 to 2147483647",
        ),
        (
            "crm.lead.contact.items.delete",
            {"Id": 77},
            "params of crm.lead.contact.items.delete: 'Id' is not accepted",
            "id, in this spelling",
        ),
        (
            "crm.lead.contact.items.delete",
            {"ID": 77, "id": 77},
            "id of crm.lead.contact.items.delete: ID and id are given",
            "one of it",
        ),
        (
            "crm.deal.contact.items.set",
            {"id": 5, "items": []},
            "items of crm.deal.contact.items.set: [] is not accepted",
            "a list of maps with CONTACT_ID, at least one; items.delete clears all links",
        ),
        (
            "crm.deal.contact.items.set",
            {"id": 5, "items": [7]},
            "items[0] of crm.deal.contact.items.set: 7 is not accepted",
            "a map with CONTACT_ID, in this spelling",
        ),
        (
            "crm.item.update",
            {"id": 5, "entityTypeId": 1, "fields": {"contactIds": None}},
            "contactIds of crm.item.update: None is not accepted",
            "a list of ids; an empty one clears all links",
        ),
        (
            "batch",
            {"cmd": {"a": "crm.lead.contact.items.delete?id=$result[x]"}},
            "cmd of batch: 'crm.lead.contact.items.delete' is not accepted",
            "calls of this method through batch() of the hook, which looks at them",
        ),
    ],
)
def test_the_error_names_what_is_wrong_and_what_is_accepted(
    method: str, params: dict[str, Any], wrong: str, accepted: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_raw_call(method, params)
    assert str(refused.value) == f"{wrong}; accepted: {accepted}"


@pytest.mark.drawn
@given(
    IDS, IDS, st.one_of(st.none(), st.integers(0, 2**31 - 1)), st.sampled_from([None, True, False, "Y", "N"])
)
def test_whatever_our_own_operators_say_passes(owner: int, contact: int, sort: Any, primary: Any) -> None:
    for name, method in methods.METHODS.items():
        family = family_of(method.kind)
        row = {family.key: contact, **({} if sort is None else {"SORT": sort})}
        said = {
            "add": methods.add(owner, contact, sort, primary, family.linked),
            "delete": methods.delete(str(owner), contact, family.linked),
            "items.get": methods.items_get(owner),
            "items.set": methods.items_set(owner, [row], family.linked),
            "items.delete": methods.items_delete(owner),
            "fields": methods.fields(),
        }
        check_raw_call(name, said[method.verb])


WORDS = st.one_of(st.sampled_from([*REFERENCES, *(one for one in NO_IDS if isinstance(one, str))]), st.text())
NAMES = st.one_of(
    st.sampled_from(
        ["id", "ID", "Id", "fields", "FIELDS", "Fields", "arFields", "items", "ITEMS", "arItems"]
    ),
    st.sampled_from(["CONTACT_ID", "contactId", "CONTACT_IDS", "contactIds", "SORT", "0"]),
    st.sampled_from(["COMPANY_ID", "companyId", "COMPANY_IDS", "companyIds"]),
    st.text(max_size=4),
)
SCALARS = st.one_of(IDS, IDS.map(str), st.none(), st.booleans(), st.integers(), st.floats(), WORDS)
VALUES = st.recursive(
    SCALARS,
    lambda below: st.one_of(st.lists(below, max_size=3), st.dictionaries(NAMES, below, max_size=3)),
    max_leaves=8,
)
PARAMS = st.one_of(
    st.dictionaries(NAMES, VALUES, max_size=3),
    st.fixed_dictionaries({"id": SCALARS}, optional={"fields": VALUES, "items": VALUES, "ITEMS": VALUES}),
    st.fixed_dictionaries(
        {"id": st.one_of(IDS, SCALARS)},
        optional={
            "items": st.lists(st.dictionaries(st.just("CONTACT_ID"), st.one_of(IDS, SCALARS)), max_size=3),
            "fields": st.dictionaries(
                st.sampled_from(["CONTACT_ID", "SORT", "sort"]), st.one_of(IDS, SCALARS)
            ),
        },
    ),
)


def read_by_the_portal(params: Any, name: str) -> Any:
    spellings = (name, name.upper(), name.capitalize(), f"ar{name.capitalize()}")
    return next((params[one] for one in spellings if params.get(one) is not None), None)


def is_plain(value: Any) -> bool:
    """Whether the portal's cast gives what a person reads there."""
    cast = php.to_int(value)
    return type(value) in {int, str} and 0 < cast < 2**31 and str(value).lstrip("0") == str(cast)


@pytest.mark.drawn
@given(st.sampled_from(["add", "delete", "items.get", "items.set", "items.delete"]), PARAMS)
def test_what_passes_is_read_by_the_portal_as_it_is_written(verb: str, params: dict[str, Any]) -> None:
    if not passes(f"crm.lead.contact.{verb}", params):
        return
    assert is_plain(params.get("ID", params.get("id")))
    rows = []
    if verb in {"add", "delete"}:
        rows = [read_by_the_portal(params, "fields")]
    if verb == "items.set":
        rows = list(read_by_the_portal(params, "items"))
        assert rows
    assert all(is_plain(row["CONTACT_ID"]) for row in rows)
    assert "$" not in repr(params) or not any(
        reference[:6].lower() in repr(params).lower() for reference in REFERENCES
    )


@pytest.mark.drawn
@given(
    st.sampled_from(UPDATES),
    st.one_of(
        PARAMS,
        st.fixed_dictionaries({"id": st.one_of(IDS, SCALARS), "fields": st.dictionaries(NAMES, VALUES)}),
    ),
)
def test_an_update_that_passes_writes_the_links_that_stand_there(
    update: tuple[str, dict[str, Any], str, str], params: dict[str, Any]
) -> None:
    method, also, one, several = update
    params = {**also, **params}
    method = method.lower()
    if not passes(method, params):
        return
    is_item = method == "crm.item.update"
    fields = params.get("fields") if is_item else read_by_the_portal(params, "fields")
    fields = fields if isinstance(fields, dict) else {}
    if one in fields or several in fields:
        assert is_plain(params.get("id") if is_item else params.get("ID", params.get("id")))
        assert one not in fields or is_plain(fields[one])
        assert isinstance(fields.get(several, []), list)
        assert all(map(is_plain, fields.get(several, [])))


@st.composite
def commands(draw: st.DrawFn, depth: int = 2) -> str:
    """A command that clears the links of lead 5, somehow spelt, or a batch in a batch that does."""
    spellings: list[Callable[[str], str]] = [str, str.upper, str.title]
    spell = draw(st.sampled_from(spellings))
    scheme = draw(st.sampled_from(["", "", "x:", "mailto:", "/", "x:/"]))
    if depth and draw(st.booleans()):
        name = draw(st.sampled_from(["cmd", "CMD", "Cmd", "cmD", " cmd", "cmd.", "xcmd"]))
        return f"{scheme}{spell('batch')}?{name}[a]={quote(draw(commands(depth - 1)), safe='')}"
    return f"{scheme}{spell('crm.lead.contact.items.delete')}?id=5"


@pytest.mark.drawn
@given(st.dictionaries(st.sampled_from(["cmd", "CMD", "Cmd", " cmd", "x"]), st.lists(commands()), min_size=1))
def test_no_raw_batch_that_the_portal_reads_as_one_that_writes_links_passes(params: dict[str, Any]) -> None:
    written: list[str] = []

    def note(method: str, _: Any) -> tuple[Answer, dict[str, Any]]:
        written.append(method.lower())
        return Answer(True), {}  # noqa: FBT003

    batch.run(params, note, 1000)
    assert not (passes("batch", params) and "crm.lead.contact.items.delete" in written)

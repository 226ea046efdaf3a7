"""Values of filters, read by the types of their fields; and what a portal would make of them."""

from __future__ import annotations

import asyncio
import math
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_bitrix.core.errors import InvalidInput, Rejected
from airflow_bitrix.crm.filter_checks import check_form, checked_filter
from airflow_bitrix.crm.filter_values import check_stages, checked_values
from airflow_bitrix.crm.known_values import KnownValues

FIELDS: dict[str, dict[str, Any]] = {
    "id": {"type": "integer"},
    "title": {"type": "string"},
    "opportunity": {"type": "double"},
    "closed": {"type": "boolean", "isDynamic": False},
    "ufCrmVip": {"type": "boolean", "isDynamic": True},
    "begindate": {"type": "date"},
    "createdTime": {"type": "datetime"},
    "assignedById": {"type": "user"},
    "contactIds": {"type": "crm_contact", "isMultiple": True},
    "categoryId": {"type": "crm_category"},
    "stageId": {"type": "crm_status", "statusType": "DEAL_STAGE"},
    "sourceId": {"type": "crm_status", "statusType": "SOURCE"},
    "ufCrmColor": {"type": "enumeration", "items": [{"ID": "44", "VALUE": "Red"}]},
    "ufCrmOdd": {"type": "something_new"},
}
KNOWN = KnownValues(
    "deal",
    FIELDS,
    {
        "DEAL_STAGE": {"NEW": "New", "WON": "Deal successful"},
        "DEAL_STAGE_3": {"C3:NEW": "New"},
        "DEAL_STAGE_9": {"C9:NEW": "Left behind by a pipeline that was deleted"},
        "SOURCE": {"CALL": "Call", "1": "A source of one's own"},
    },
    {0: "General", 3: "Wholesale"},
)

READ: list[tuple[str, Any, Any]] = [
    ("categoryId", 0, 0),
    ("categoryId", "3", 3),
    ("@categoryId", [0, "3"], [0, 3]),
    ("!categoryId", 3.0, 3),
    ("assignedById", " 7 ", 7),
    ("assignedById", False, 0),
    (">id", "-5", -5),
    ("opportunity", "1500.5", 1500.5),
    ("opportunity", "1500.5\x1f", 1500.5),
    (">=opportunity", 10, 10),
    ("closed", True, "Y"),
    ("closed", "false", "N"),
    ("@closed", ["y", "1"], ["Y", "Y"]),
    ("ufCrmVip", "Y", 1),
    ("ufCrmVip", True, 1),
    ("!ufCrmVip", "yes", 1),
    ("ufCrmVip", False, 0),
    ("begindate", "2026-11-01", "2026-11-01"),
    (">=begindate", date(2026, 11, 1), "2026-11-01"),
    ("<createdTime", "2026-11-01T08:00:00+01:00", "2026-11-01T08:00:00+01:00"),
    ("<createdTime", datetime(2026, 11, 1, 8, tzinfo=UTC), "2026-11-01T08:00:00+00:00"),
    ("createdTime", False, ""),
    ("stageId", "c3:new", "c3:new"),
    ("sourceId", 1, 1),
    ("!sourceId", False, ""),
    ("ufCrmColor", "44", 44),
    ("title", "Order", "Order"),
    ("%title", "rder", "rder"),
    ("title", False, ""),
    ("ufCrmOdd", "x", "x"),
    ("contactIds", "7", 7),
]

REFUSED: list[tuple[str, Any, str]] = [
    ("categoryId", "sales", r"pipelines of the portal by id: 0 \(General\), 3 \(Wholesale\)"),
    ("categoryId", 7, "pipelines of the portal"),
    ("categoryId", False, "pipelines of the portal"),
    ("@categoryId", [3, "Wholesale"], "pipelines of the portal"),
    ("assignedById", "Anna", "an id, a whole number; False for those where it is empty"),
    ("assignedById", True, "an id"),
    (">assignedById", False, "an id"),
    ("id", "1e3", "a whole number"),
    ("id", "5abc", "a whole number"),
    ("id", 5.5, "a whole number"),
    ("opportunity", "1,500", "a number"),
    ("opportunity", "1_500", "a number"),
    ("opportunity", math.nan, "a number"),
    ("closed", "closed", "True or False, 'Y' or 'N', 1 or 0"),
    ("ufCrmVip", 2, "True or False"),
    ("createdTime", "yesterday", "a day or a moment, such as '2026-11-01'"),
    ("createdTime", "01/02/2026", "a day or a moment"),
    ("createdTime", "2026-02-30", "a day or a moment"),
    (">createdTime", 5, "a day or a moment"),
    ("stageId", "SOLD", r"by id: NEW \(New\), WON \(Deal successful\), C3:NEW \(New\); False for those"),
    ("stageId", "C7:NEW", "by id: NEW"),
    ("stageId", "C9:NEW", "by id: NEW"),
    ("sourceId", "Call me", r"by id: CALL \(Call\)"),
    ("ufCrmColor", "Red", r"items of the field by id: 44 \(Red\)"),
    ("title", 1.5, "a text"),
    ("title", True, "a text"),
    ("contactIds", 0, "the id of a contact"),
    ("stageId", {"a": "NEW"}, "by id"),
]


@pytest.mark.parametrize(("key", "value", "sent"), READ, ids=repr)
def test_a_value_is_sent_as_the_portal_reads_it_rightly(key: str, value: Any, sent: Any) -> None:
    assert checked_values({key: value}, KNOWN) == {key: sent}
    group = {"0": {"logic": "OR", key: value, "1": {key: value}}}
    assert checked_values(group, KNOWN) == {"0": {"logic": "OR", key: sent, "1": {key: sent}}}


@pytest.mark.parametrize(("key", "value", "accepted"), REFUSED, ids=repr)
def test_a_value_that_a_field_cannot_have_is_refused_and_what_it_can_have_is_named(
    key: str, value: Any, accepted: str
) -> None:
    for wanted in ({key: value}, {"0": {"logic": "OR", "id": 5, key: value}}):
        with pytest.raises(
            InvalidInput, match=rf"^filter: .* is not accepted; accepted: .*{accepted}"
        ) as why:
            checked_values(wanted, KNOWN)
        assert repr(value) in str(why.value)


@pytest.mark.parametrize("value", [None, "", "  ", "None", [], ["NEW", ""], [None]], ids=repr)
@pytest.mark.parametrize("key", ["title", "!stageId", ">=createdTime", "categoryId"])
def test_what_a_template_leaves_that_gives_nothing_is_no_value(key: str, value: Any) -> None:
    for wanted in ({key: value}, {"0": {key: value}}):
        with pytest.raises(InvalidInput, match=r"^filter: .*; accepted: a value for each field"):
            check_form(wanted)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"><id": 5}, "a range as two conditions"),
        ({"0": {"!><opportunity": 5}}, "a range as two conditions"),
        ({"logic": "XOR", "id": 5}, "'AND' or 'OR'"),
        ({"0": {"LOGIC": True, "id": 5}}, "'AND' or 'OR'"),
        ({"logic": "OR"}, "conditions beside 'logic'"),
        ({"id": 5, "0": {"logic": "AND"}}, "conditions beside 'logic'"),
    ],
)
def test_what_the_portal_takes_no_notice_of_is_refused(wanted: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=rf"^filter: .* is not accepted; accepted: {said}"):
        check_form(wanted)


def test_stages_are_those_of_the_pipelines_that_there_are() -> None:
    check_stages(["NEW", "c3:new"], KNOWN)
    with pytest.raises(InvalidInput, match=r"^stages: 'C7:NEW' .* no pipeline of deals has such"):
        check_stages(["C7:NEW"], KNOWN)
    with pytest.raises(InvalidInput, match=r"^stages: 'C9:NEW' "):
        check_stages(["NEW", "C9:NEW"], KNOWN)


def test_what_the_portal_does_not_tell_cannot_be_checked_and_the_log_says_so(caplog: Any) -> None:
    no = Rejected("crm.status.list: the portal refused: ACCESS_DENIED")
    untold = KnownValues("deal", FIELDS, no, no)
    check_stages(["ANY"], untold)
    assert checked_values({"stageId": "ANY", "categoryId": "7"}, untold) == {
        "stageId": "ANY",
        "categoryId": 7,
    }
    with pytest.raises(InvalidInput, match="an id, a whole number"):
        checked_values({"categoryId": "sales"}, untold)
    assert caplog.text.count("cannot be told: crm.status.list: the portal refused") == 4


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.dates()
    | st.datetimes()
)
LIKELY = st.sampled_from(
    ["Y", "no", "0", " 3", "3.0", "-1", "1e3", "C3:NEW", "44", "2026-11-01", "٣", "1_0", ""]
)
VALUES = SCALARS | LIKELY | st.lists(SCALARS | LIKELY, max_size=3)
KEYS = st.builds(
    "{}{}".format, st.sampled_from(["", "=", "!", "@", "!@", ">", "<=", "%"]), st.sampled_from([*FIELDS])
)


def outcome(wanted: dict[str, Any]) -> dict[str, Any] | str:
    """Give what is sent for a filter, or what is said of it."""
    try:
        check_form(wanted)
        return checked_values(wanted, KNOWN)
    except InvalidInput as refused:
        return str(refused)


@pytest.mark.drawn
@given(st.dictionaries(KEYS, VALUES, max_size=3))
def test_a_filter_comes_to_values_of_the_right_kind_or_to_one_error_that_names_it(
    wanted: dict[str, Any],
) -> None:
    """Whatever is given: what is sent casts to itself in PHP, and reading it again changes nothing."""
    sent = outcome(wanted)
    if isinstance(sent, str):
        assert sent.startswith("filter: ")
        assert "; accepted: " in sent
        return
    assert sent.keys() == wanted.keys()
    for key, value in sent.items():
        kind = FIELDS[key.lstrip("=!@><%")]["type"]
        for one in value if isinstance(value, list) else [value]:
            if kind in ("integer", "user", "crm_category", "enumeration", "crm_contact"):
                assert type(one) is int
            elif kind == "double":
                assert type(one) in (int, float)
                assert math.isfinite(one)
            elif kind == "boolean":
                assert one in (("Y", "N") if key.endswith("closed") else (0, 1))
            else:
                assert type(one) in (str, int)
    again = {key: False if wanted[key] is False else value for key, value in sent.items()}
    assert checked_values(again, KNOWN) == sent


def test_what_the_portal_makes_of_such_values_and_what_comes_of_them_here(
    make_sandbox: Any, connect: Any, connect_async: Any
) -> None:
    """The portal casts: a name is pipeline 0 to it, and ``Y`` in a custom field for yes or no means no."""
    sandbox = make_sandbox(leads=5, deals=60, contacts=20)
    sandbox.state.update("deal", 7, {"UF_CRM_VIP": "Y"})
    plain = connect(sandbox.webhook_url)

    def found(wanted: dict[str, Any]) -> list[int]:
        params = {"entityTypeId": 2, "filter": wanted, "select": ["id"]}
        return [row["id"] for row in plain.call("crm.item.list", params)["items"]]

    async def checked(wanted: dict[str, Any]) -> dict[str, Any]:
        async with connect_async(sandbox.webhook_url) as portal:
            return await checked_filter(portal, "deal", wanted)

    assert found({"categoryId": "sales"}) == found({"categoryId": ""}) == found({"categoryId": 0}) != []
    with pytest.raises(
        InvalidInput, match=r"filter: \{'categoryId': 'sales'\} .* 0 \(General\), 3 \(Wholesale\)"
    ):
        asyncio.run(checked({"categoryId": "sales"}))
    with pytest.raises(InvalidInput, match="filter: nothing is given for categoryId"):
        asyncio.run(checked({"categoryId": ""}))
    assert 7 not in found({"ufCrmVip": "Y"})
    for yes in ("Y", True, "true", 1):
        assert found(asyncio.run(checked({"ufCrmVip": yes}))) == [7]
    assert found(asyncio.run(checked({"closed": False, "stageId": "won"}))) == []
    assert found(asyncio.run(checked({"closed": "yes", "stageId": "won"}))) != []

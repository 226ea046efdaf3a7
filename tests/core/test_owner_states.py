"""What a row of a scan tells about an owner."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_bitrix.core.errors import Bitrix24Error
from airflow_bitrix.core.links import LinkSet, Owner
from airflow_bitrix.core.owner_states import OwnerState, select_of, state_of

SELECT = select_of("lead")
ROW: dict[str, Any] = {
    "id": 5,
    "contactId": 8,
    "contactIds": [7, 8],
    "companyId": 3,
    "stageId": "NEW",
    "stageSemanticId": "P",
    "isReturnCustomer": "Y",
}
LEAD = Owner("lead", 5)


def test_a_row_becomes_the_state_of_its_owner() -> None:
    expected = OwnerState(
        LinkSet.of_ids(LEAD, [7, 8], 8), is_repeat=True, company_id=3, stage_id="NEW", semantic="P"
    )
    assert state_of("lead", ROW) == expected
    assert expected.owner == LEAD


@pytest.mark.parametrize(
    ("field", "value", "links"),
    [
        ("contactId", 0, LinkSet.of_ids(LEAD, [7, 8])),
        ("contactId", None, LinkSet.of_ids(LEAD, [7, 8])),
        ("contactId", 9, LinkSet.of_ids(LEAD, [7, 8], 9)),
        ("contactId", "8", LinkSet.of_ids(LEAD, [7, 8], 8)),
        ("contactIds", [], LinkSet.of_ids(LEAD, [], 8)),
        ("contactIds", None, LinkSet.of_ids(LEAD, [], 8)),
        ("contactIds", ["7", "8"], LinkSet.of_ids(LEAD, [7, 8], 8)),
        ("contactIds", [8, 7, 8], LinkSet.of_ids(LEAD, [8, 7], 8)),
        ("id", "5", LinkSet.of_ids(LEAD, [7, 8], 8)),
    ],
    ids=lambda value: None if isinstance(value, LinkSet) else repr(value),
)
def test_links_are_read_in_every_form_that_portals_give_them(field: str, value: Any, links: LinkSet) -> None:
    assert state_of("lead", {**ROW, field: value}).links == links


@pytest.mark.parametrize(
    ("flag", "repeat"), [("Y", True), (True, True), ("N", False), (False, False), ("", False), (None, False)]
)
def test_a_repeat_lead_is_one_whose_flag_says_so(flag: object, repeat: bool) -> None:  # noqa: FBT001
    assert state_of("lead", {**ROW, "isReturnCustomer": flag}).is_repeat is repeat


@pytest.mark.parametrize(("company", "company_id"), [(3, 3), ("3", 3), (0, 0), ("0", 0), (None, 0), ("", 0)])
def test_a_company_is_a_number_and_none_is_0(company: object, company_id: int) -> None:
    assert state_of("lead", {**ROW, "companyId": company}).company_id == company_id


@pytest.mark.parametrize(
    ("stage", "semantic", "success"),
    [
        ("NEW", "P", False),
        ("CONVERTED", "S", True),
        ("CONVERTED", None, True),
        ("C1:WON", "S", True),
        ("JUNK", "F", False),
        (None, None, False),
    ],
)
def test_an_owner_is_in_its_success_stage_by_semantic_or_by_name(
    stage: str | None,
    semantic: str | None,
    success: bool,  # noqa: FBT001
) -> None:
    row = {**ROW, "stageId": stage, "stageSemanticId": semantic}
    assert state_of("lead", row).is_success is success


@pytest.mark.parametrize("name", sorted(set(SELECT) - {"stageSemanticId", "contactIds"}))
def test_nothing_is_concluded_about_a_lead_from_a_field_that_the_portal_left_out(name: str) -> None:
    """A portal drops the fields it does not know, and a missing flag must not pass for a flag that is off.

    The stage's semantic is another matter: the name of a lead's success stage is fixed.
    """
    row = {key: value for key, value in ROW.items() if key != name}
    with pytest.raises(Bitrix24Error, match=name):
        state_of("lead", row)


def test_a_scan_asks_for_every_field_that_a_state_is_read_from() -> None:
    assert set(SELECT) == set(ROW)


def test_links_that_the_portal_left_out_are_not_taken_for_none() -> None:
    row = {key: value for key, value in ROW.items() if key != "contactIds"}
    assert not state_of("lead", row).links_known
    assert state_of("lead", {**row, "contactIds": []}).links_known


TOLD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=3)
    | st.sampled_from(["7", "Y"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=5,
)


@pytest.mark.drawn
@given(st.dictionaries(st.sampled_from([*SELECT, "leadId"]), TOLD), st.sampled_from([{}, ROW]))
def test_whatever_a_row_holds_it_is_a_state_or_one_clear_error(told: Any, whole: Any) -> None:
    try:
        state = state_of("lead", {**whole, **told}, ("leadId",))
    except Bitrix24Error as error:
        said = str(error)
    else:
        ids = (state.owner.id, *state.links.contact_ids)
        said = "" if all(type(one) is int and one > 0 for one in ids) else repr(ids)
    assert not said or said.startswith("crm.item.list: the portal ")


@pytest.mark.parametrize("told", [None, "1,2", {"0": 1}, [None], ["x"], [0], [True], 7, True], ids=repr)
def test_contact_ids_that_are_no_list_of_ids_are_not_known(told: Any) -> None:
    assert not state_of("lead", {**ROW, "contactIds": told}).links_known
    assert state_of("lead", {**ROW, "contactIds": ["3", 4]}).links.contact_ids == (3, 4)
    assert state_of("lead", {**ROW, "contactIds": []}).links_known

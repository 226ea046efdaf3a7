"""A deal names the lead that it was made from by an id, or the portal's answer is odd."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_bitrix.core.errors import Bitrix24Error
from airflow_bitrix.core.owner_states import state_of
from airflow_bitrix.engine.migrations import _lead_of

DEAL = {
    "id": 5, "contactId": 0, "contactIds": [], "companyId": 0, "stageId": "NEW",
    "stageSemanticId": "P", "isReturnCustomer": "N",
}  # fmt: skip


@pytest.mark.parametrize(("told", "lead"), [(7, 7), ("7", 7), (None, 0), ("", 0), (0, 0)])
def test_its_lead_is_read_as_any_id_is(told: Any, lead: int) -> None:
    assert _lead_of(state_of("deal", {**DEAL, "leadId": told}, ("leadId",))) == lead


@pytest.mark.attack
@pytest.mark.parametrize("told", [10**400, "9" * 5000, "abc", [1], 1.5, -1], ids=lambda one: str(one)[:9])
def test_what_is_no_id_is_one_clear_error(told: Any) -> None:
    deal = state_of("deal", {**DEAL, "leadId": told}, ("leadId",))
    with pytest.raises(Bitrix24Error, match="the portal answered a 'leadId' of deal 5 that is no id"):
        _lead_of(deal)

"""Contacts that are one person by their phones, over HTTP: by the plan of which country, and switchboards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.operators.cleanups import plan

RUSSIAN = ("+7 912 345-67-89", "8 912 345 67 89", "(912) 345-67-89")
SWITCHBOARD = "8 (495) 123-45-67"
LEADS = {
    1: RUSSIAN,
    2: (SWITCHBOARD, "+7 495 123 45 67", "+74951234567"),
    3: (f"{SWITCHBOARD} доб. 12", f"{SWITCHBOARD}, доб. 34", SWITCHBOARD),
    4: (f"{SWITCHBOARD} доб. 12", "+7 495 1234567 ext. 12"),
    5: ("+49 30 1234567", "030 1234567"),
    6: ("2-34-567", "234567", "2345678"),
}
"""Phones of the contacts of some leads."""


@pytest.fixture
def phones(make_sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    sandbox = make_sandbox(plan="self_hosted")
    sandbox.set_switches(address_zone="ru")
    for texts in LEADS.values():
        ids = [sandbox.state.add("contact", {"PHONE": [{"VALUE": text}]}) for text in texts]
        lead = sandbox.state.add("lead", {})
        sandbox.state.update("lead", lead, {"CONTACT_IDS": ids})
    found = {"conn_type": "bitrix24", "password": sandbox.webhook_url, "extra": {"plan": "self_hosted"}}
    monkeypatch.setenv("AIRFLOW_CONN_BITRIX24_DEFAULT", json.dumps(found))
    return sandbox


@pytest.mark.usefixtures("phones")
def test_phones_are_compared_by_the_plan_of_the_portal_s_country(tmp_path: Path) -> None:
    made, changes = plan(tmp_path, "lead", ["merge_same_person"])
    assert {change.owner.id: len(change.after.links) for change in changes} == {1: 1, 4: 1, 6: 2}
    assert made["left_out"] == {"phone of many": 1}
    left_out = (Path(made["plan"]) / "left_out.csv").read_text()
    assert "contacts 4, 5, 6 share a phone that 4 contacts hold: not used" in left_out


@pytest.mark.parametrize(
    ("options", "zone", "merged"),
    [
        ({"region": "de"}, "ru", {5, 6}),
        ({"shared_by": 5}, "ru", {1, 2, 4, 6}),
        ({}, "eu", {6}),
        ({"match": "email"}, "ru", set()),
    ],
)
def test_the_country_and_what_is_a_switchboard_can_be_said(
    options: Any, zone: str, merged: set[int], phones: Any, tmp_path: Path
) -> None:
    phones.set_switches(address_zone=zone)
    _, changes = plan(tmp_path, "lead", ["merge_same_person"], rule_options={"merge_same_person": options})
    assert {change.owner.id for change in changes} == merged


def test_a_portal_that_does_not_tell_its_country_is_no_failure(
    phones: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    phones.set_switches(missing_methods=("crm.address.getzoneid",))
    plan(tmp_path, "lead", ["merge_same_person"])
    log = capsys.readouterr().out
    assert "The portal does not tell its country" in log
    assert "Phones without a country code are compared by their digits" in log

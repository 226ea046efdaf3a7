"""What authors judge their rules with: owners and contacts that a test makes up, and refusals in words."""

from __future__ import annotations

import os
import sys
from typing import Any

import pytest

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.rules import Facts, LeftOut, OwnerState, Rule, Verdict, Wish, with_added, without
from airflow_bitrix.testing import contact, deal, judged, judged_on, lead
from airflow_bitrix.testing.fixtures import pytest_configure


class Odd(Rule):
    """Link contact 9 to leads with an odd stage; raise an error of others."""

    name, title = "odd", "Odd"
    kinds = frozenset({"lead"})

    def judge(self, state: OwnerState, facts: Facts) -> Verdict:
        del facts
        if state.stage_id == "NEW":
            raise LookupError(state.stage_id)
        if 9 in state.links.contact_ids:
            return Wish(without(state.links, [9]), "9 goes")
        return Wish(with_added(state.links, [9]), "9 comes")


def test_owners_are_made_with_exact_links_and_what_a_rule_sees_of_them() -> None:
    made = deal(5, [7, 8], primary=8, company_id=3, stage_id="WON", semantic="S", fields={"title": "x"})
    assert made.links.as_json() == [[7, 10, False, 0], [8, 20, True, 0]]
    assert (made.owner.kind, made.owner.id, made.company_id, made.is_success) == ("deal", 5, 3, True)
    assert made.fields == {"title": "x"}
    assert lead(contacts=[7, 8]).links.primary_id == 7
    assert lead(contacts=[7, 8], primary=None).links.primary_id is None
    assert (lead().owner.id, lead().links.links, lead().semantic) == (1, (), "P")


def test_contacts_have_phones_and_e_mails_in_the_form_of_facts() -> None:
    made = contact(7, phones=["8 (495) 123-45-67"], emails=[" A@B.C "], region="RU", company_id=3)
    assert (made.phones, made.emails, made.company_id) == (("+74951234567",), ("a@b.c",), 3)


def test_a_rule_is_judged_as_a_plan_would_with_errors_and_refusals() -> None:
    found = judged(Odd, lead(5, [7, 8], stage_id="ODD"))
    assert found.change is not None
    assert found.change.after.as_json() == [[7, 10, True, 0], [8, 20, False, 0], [9, 30, False, 0]]
    failed = judged(Odd(), lead())
    assert failed.change is None
    assert failed.left_out == [LeftOut("a rule failed", "odd raised LookupError: NEW", raised=True)]
    emptied = judged(Odd, lead(contacts=[9], stage_id="ODD"))
    assert [one.why for one in emptied.left_out] == ["would be left without contacts"]
    assert judged("company_card_primary", deal(contacts=[7])).change is None
    with pytest.raises(InvalidInput, match=r"^rules: 'odd' .* for deals$"):
        judged(Odd, deal())


def test_on_a_sandbox_all_that_rules_need_is_asked_for(make_sandbox: Any) -> None:
    sandbox = make_sandbox(leads=100, deals=100, contacts=100, plan="self_hosted")
    expected = sandbox.truth()["expected"]["company_card_primary"]["deal"]
    found = judged_on(sandbox, "company_card_primary", kind="deal")
    assert {str(one) for one, each in found.items() if each.change} == set(expected)
    [one, *_] = found
    assert list(judged_on(sandbox, "company_card_primary", "fix_primary", kind="deal", only=[one])) == [one]


def test_an_airflow_that_somebody_imported_first_keeps_its_home(
    monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> None:
    monkeypatch.setitem(sys.modules, "airflow", sys)
    monkeypatch.setenv("AIRFLOW_HOME", "mine")
    pytest_configure(pytestconfig)
    assert os.environ["AIRFLOW_HOME"] == "mine"

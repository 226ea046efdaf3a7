"""What a save does to a lead or deal, and what the link methods leave alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_bitrix.sandbox.server import Sandbox
    from tests.sandbox.conftest import Client


def test_a_save_that_makes_a_lead_a_repeat_lead_enriches_its_contact(
    sandbox: Sandbox, client: Client
) -> None:
    contact = sandbox.state.add("contact", {"NAME": "Ada", "PHONE": [{"VALUE": "1"}]})
    phones = [{"VALUE": "1"}, {"VALUE": "2"}]
    lead = sandbox.state.add("lead", {"NAME": "Bo", "LAST_NAME": "Case", "PHONE": phones})
    fields = {"CONTACT_ID": contact}
    client.call("crm.lead.contact.add", {"id": lead, "fields": fields})
    assert client.call("crm.contact.get", {"id": contact}).result["LAST_NAME"] is None
    client.call("crm.lead.update", {"id": lead, "fields": {}})
    shown = client.call("crm.contact.get", {"id": contact}).result
    assert (shown["NAME"], shown["LAST_NAME"]) == ("Ada", "Case")
    assert [phone["VALUE"] for phone in shown["PHONE"]] == ["1", "2"]


def test_every_save_moves_the_date(sandbox: Sandbox, client: Client) -> None:
    before = sandbox.links("lead")["1"]["date_modify"]
    client.call("crm.lead.update", {"id": 1, "fields": {}})
    assert sandbox.links("lead")["1"]["date_modify"] > before


def test_links_never_move_the_date(sandbox: Sandbox, client: Client, kind: Any) -> None:
    before = sandbox.links(kind)["2"]
    client.call(f"crm.{kind}.contact.items.set", {"id": 2, "items": [{"CONTACT_ID": 9, "SORT": 77}]})
    after = sandbox.links(kind)["2"]
    assert after["links"] == [[9, 77, "Y", 0]]
    assert {name: after[name] for name in ("date_modify", "is_return_customer")} == {
        name: before[name] for name in ("date_modify", "is_return_customer")
    }


def test_older_portals_change_the_flag_with_the_links(sandbox: Sandbox, client: Client) -> None:
    sandbox.set_switches(flag_at_once=True)
    lead = sandbox.state.add("lead", {})
    client.call("crm.lead.contact.add", {"id": lead, "fields": {"CONTACT_ID": 1}})
    assert client.flag("lead", lead) == "Y"
    client.call("crm.lead.contact.delete", {"id": lead, "fields": {"CONTACT_ID": 1}})
    assert client.flag("lead", lead) == "N"


def test_deals_of_a_customer_are_repeats_but_for_the_first_won(sandbox: Sandbox, client: Client) -> None:
    contact = sandbox.state.add("contact", {})
    deals = [sandbox.state.add("deal", {"CONTACT_ID": contact}) for _ in range(3)]
    assert [client.flag("deal", one) for one in deals] == ["N", "N", "N"]
    client.call("crm.deal.update", {"id": deals[1], "fields": {"STAGE_ID": "WON"}})
    assert [client.flag("deal", one) for one in deals] == ["Y", "N", "Y"]
    shown = client.call("crm.deal.get", {"id": deals[1]}).result
    assert (shown["CLOSED"], shown["STAGE_SEMANTIC_ID"]) == ("Y", "S")


def test_a_deal_from_a_repeat_lead_is_a_repeated_approach(sandbox: Sandbox, client: Client) -> None:
    lead = sandbox.state.add("lead", {"CONTACT_ID": 1})
    deal = client.add("deal", LEAD_ID=lead)
    shown = client.call("crm.deal.get", {"id": deal}).result
    assert (shown["IS_REPEATED_APPROACH"], shown["LEAD_ID"]) == ("Y", str(lead))


def test_a_save_takes_a_company_off_and_leaves_the_contacts(sandbox: Sandbox, client: Client) -> None:
    lead = sandbox.state.add("lead", {"COMPANY_ID": 17, "CONTACT_IDS": [3, 4]})
    for call in (
        ("crm.lead.update", {"id": lead, "fields": {"COMPANY_ID": 0}}),
        ("crm.item.update", {"entityTypeId": 1, "id": lead, "fields": {"companyId": 0}}),
    ):
        sandbox.state.update("lead", lead, {"COMPANY_ID": 17})
        client.call(*call)
        now = sandbox.links("lead")[str(lead)]
        assert (now["company_id"], [link[0] for link in now["links"]]) == (0, [3, 4])
        assert now["is_return_customer"] == "Y"
    client.call("crm.lead.update", {"id": lead, "fields": {"COMPANY_ID": 0, "CONTACT_ID": 0}})
    now = sandbox.links("lead")[str(lead)]
    assert (now["company_id"], now["links"], now["is_return_customer"]) == (0, [], "N")


def test_a_save_that_gives_a_lead_a_company_enriches_it(sandbox: Sandbox, client: Client) -> None:
    company = sandbox.state.add("company", {"TITLE": "Acme", "PHONE": [{"VALUE": "1"}]})
    lead = sandbox.state.add("lead", {"NAME": "Bo", "PHONE": [{"VALUE": "1"}, {"VALUE": "2"}]})
    client.call("crm.lead.update", {"id": lead, "fields": {"COMPANY_ID": company}})
    assert sandbox.links("lead")[str(lead)]["is_return_customer"] == "Y"
    shown = client.call("crm.company.get", {"id": company}).result
    assert (shown["TITLE"], [phone["VALUE"] for phone in shown["PHONE"]]) == ("Acme", ["1", "2"])

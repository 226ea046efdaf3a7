"""Ids in tables are links to cards: each id of a contact, and nothing that only looks like one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from markupsafe import Markup, escape

from airflow_bitrix.core.languages import speaking
from airflow_bitrix.core.links import ContactLink, LinkSet, Owner
from airflow_bitrix.files.snapshot_changes import shown_links
from airflow_bitrix.files.snapshots import Snapshot
from airflow_bitrix.report.card_links import linked, linked_contacts, portal_of
from airflow_bitrix.report.opening import opening_of_snapshots
from tests.report.summaries import EVIL, PORTAL, Page

CARD = f"{PORTAL}/crm/contact/details"


def leads_to(cell: str) -> list[tuple[str, str]]:
    return re.findall(r'<a href="([^"]*)" target="_blank" rel="noopener noreferrer">([^<]*)</a>', cell)


def test_each_contact_is_a_link_and_no_sort_role_or_star_is() -> None:
    links = LinkSet(
        Owner("lead", 5),
        (ContactLink(377, 10, is_primary=True, role_id=3), ContactLink(367, 20), ContactLink(1, None)),
        452,
    )
    cell = linked_contacts(shown_links(links), PORTAL)
    assert leads_to(cell) == [(f"{CARD}/{one}/", str(one)) for one in (377, 367, 1, 452)]
    assert "".join(Page(cell).words) == "377* (10, role 3), 367 (20), 1; its card shows 452 first"
    assert leads_to(linked_contacts("377 12", PORTAL)) == [(f"{CARD}/377/", "377"), (f"{CARD}/12/", "12")]
    assert leads_to(linked_contacts(shown_links(LinkSet(links.owner)), PORTAL)) == []
    with speaking("ru"):
        said = shown_links(links).partition(";")[0], shown_links(LinkSet(links.owner))
    assert said == ("377* (10, роль 3), 367 (20), 1", "нет")


@pytest.mark.attack
@pytest.mark.parametrize(
    "text", [EVIL, '<a href="x">5</a>', "5) (6 \u202e", "(" * 5000 + "7", "9" * 5000, "1.5 x7"]
)
def test_words_of_a_file_stay_words(text: str) -> None:
    cell = linked_contacts(text, PORTAL)
    assert isinstance(cell, Markup)
    assert {address.removeprefix(CARD) for address, _ in leads_to(cell)} <= {"/5/", "/6/", "/7/"}
    assert re.sub(r"</?a[ >][^>]*>?", "", cell).count("<") == 0
    assert not set(cell) & set("\u202e")


@pytest.mark.attack
@pytest.mark.parametrize(
    "address", ["", "javascript:alert(1)", "data:text/html,x", "//acme/crm/lead/", "\0https://x"]
)
def test_what_leads_to_no_portal_is_no_link(address: str) -> None:
    assert linked("5", address) == "5"
    assert linked_contacts("5", portal_of(address)) == "5"
    assert portal_of(f"{PORTAL}/elsewhere/") == ""
    assert leads_to(linked(EVIL, f'{PORTAL}/"><script>'))[0][1] == escape(EVIL)


def test_a_snapshot_says_how_much_it_holds_also_where_nothing_differs() -> None:
    one = Snapshot(
        Path("x"), "deal", PORTAL, "2026-11-21T10:00:00+00:00", "ids", owners=855, sha256="", links=2314
    )
    held = "855 deals with 2,314 contact links written down"
    assert opening_of_snapshots([one], 0) == f"{held}; 0 differences to the snapshot before."
    assert opening_of_snapshots([one], 1) == f"{held}; 1 difference to the snapshot before."
    assert opening_of_snapshots([one], None) == f"{held}; there is no earlier snapshot to compare with."
    assert opening_of_snapshots([], 0) == ""
    with speaking("ru"):
        told = opening_of_snapshots([one], 21)
    assert told.startswith("Записано: 855 сделок, 2\xa0314 связей ")
    assert told.endswith(": 21 отличие.")


def test_the_snapshot_of_contacts_counts_links_to_companies() -> None:
    one = Snapshot(Path("x"), "contact", PORTAL, "2026-11-21T10:00:00+00:00", "ids", 3, sha256="", links=5)
    assert opening_of_snapshots([one], 0).startswith("3 contacts with 5 company links written down;")

"""The words on the card of a lead or deal that was changed."""

from __future__ import annotations

from airflow_bitrix.core.links import ContactLink, LinkSet, Owner
from airflow_bitrix.core.references import has_reference
from airflow_bitrix.files.approvals import Approval
from airflow_bitrix.report.card_comments import MOST_SHOWN, CardComment, card_comment, comment_mark

PORTAL = "https://acme.example"
CARD = f"[URL={PORTAL}/crm/contact/details/"
MARK = comment_mark("3f2a91c0d4e5" + "0" * 52)


def links(*contacts: int) -> LinkSet:
    rows = (
        ContactLink(one, 10 * place, is_primary=place == 1) for place, one in enumerate(contacts, start=1)
    )
    return LinkSet(Owner("deal", 5), tuple(rows))


def said(before: LinkSet, after: LinkSet, approval: Approval | None = None, *reasons: str) -> list[str]:
    told = CardComment(PORTAL, before, after, reasons, approval, "run r of the DAG d", MARK)
    return card_comment(told).splitlines()


def test_it_says_what_there_was_what_there_is_why_who_and_in_which_run() -> None:
    asked = Approval("", "not asked", "", reason="approval is switched off", unasked="never")
    assert said(links(7, 8), links(8), asked, "gone", "twice") == [
        "[B]Contacts were changed by Airflow[/B]",
        f"Before: {CARD}7/]7[/URL] (primary), {CARD}8/]8[/URL]",
        f"Now: {CARD}8/]8[/URL] (primary)",
        "Why: gone; twice",
        "Nobody was asked to approve: approval is switched off",
        "By run r of the DAG d (airflow-bitrix 3f2a91c0d4e5)",
    ]


def test_what_was_saved_alone_is_not_called_changed() -> None:
    assert said(links(), links(), None, "repeat lead without contacts")[:3] == [
        "[B]Saved by Airflow[/B]",
        "Contacts, as before: no contacts",
        "Why: repeat lead without contacts",
    ]


def test_a_company_that_was_taken_off_is_named() -> None:
    told = CardComment(PORTAL, links(), links(), ["released"], None, "", MARK, companies=(17, 0))
    assert card_comment(told).splitlines()[:3] == [
        "[B]Saved by Airflow[/B]",
        "Contacts, as before: no contacts",
        f"Company: [URL={PORTAL}/crm/company/details/17/]17[/URL] → none",
    ]


def test_no_words_of_others_call_people_or_stand_for_answers_of_other_commands() -> None:
    hostile = "[USER=1]boss[/USER] $result[c0] [URL=https://evil.example]x[/URL]\n[B]\u202e"
    by = Approval("", "approved", "2026-11-29T08:00:00+00:00", hostile)
    text = "\n".join(said(links(7), links(), by, hostile))
    assert not has_reference(text)
    assert text.count("[") == 4 == text.count("]")  # the title's, and those of contact 7
    assert len(text.splitlines()) == 6


def test_of_many_contacts_the_rest_is_counted() -> None:
    many = said(links(*range(1, 300)), links())[1]
    assert many.count("[URL=") == MOST_SHOWN
    assert many.endswith(" and 269 more")

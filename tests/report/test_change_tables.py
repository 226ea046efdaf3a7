"""Changes on the page of an approval: by name, each with a link, and whatever the names are, a table."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from airflow_bitrix.core.names import LONGEST_NAME, OwnerNames
from airflow_bitrix.core.plan import Change
from airflow_bitrix.report.approval import MOST_BYTES, as_markdown, plan_digest
from tests.report.test_approval import EVIL, PORTAL, clears, contact, links, tables, written


def shown(folder: Path, plan: list[Change], names: dict[int, OwnerNames]) -> str:
    manifest = written(folder, plan)
    return as_markdown(manifest, plan_digest(folder, manifest), (), names)


def test_an_owner_and_its_contacts_are_shown_by_name(tmp_path: Path) -> None:
    change = Change(links(182, 377, 277), links(182, 277, 12), ("why",))
    names = OwnerNames("Поставка «Север»", "In progress", "Olga", {377: "Анна Шмидт", 12: "Ivan"})
    ((_, row),) = tables(shown(tmp_path, [change], {182: names}))[-1:]
    assert row[0] == f'<a href="{PORTAL}/crm/lead/details/182/">182 Поставка «Север»</a> (In progress · Olga)'
    assert row[1] == (
        f"<s>{contact(377, 'Анна Шмидт')} (primary)</s>, {contact(277)} <strong>(primary)</strong>, "
        f"<strong>+</strong> {contact(12, 'Ivan')}"
    )


def test_a_company_that_changes_is_named_behind_the_contacts(tmp_path: Path) -> None:
    change = replace(clears(1, 9), holds={"company_id": 17}, company=0)
    for names, told in (({}, "17"), ({1: OwnerNames(companies={17: "Acme | Co"})}, "17 Acme | Co")):
        cells = tables(shown(tmp_path, [change], names))[-1][1]
        assert cells[1].endswith(f", and 4 more, company: {told} → none")


def test_of_many_contacts_those_are_shown_of_which_something_becomes(tmp_path: Path) -> None:
    before = links(1, *range(1, 40))
    change = Change(before, links(1, *range(1, 38), 50), ("why",))
    cells = tables(shown(tmp_path, [change], {}))[-1][1]
    told = [int(one) for one in re.findall(r"contact/details/(\d+)/", cells[1])]
    assert told == [38, 39, 50, 1, 2]
    assert cells[1].endswith(", and 35 more")


@pytest.mark.attack
def test_a_name_stays_a_name(tmp_path: Path) -> None:
    """It adds no cell, no row, no link and no tag of its own, and no more of it is shown than a little."""
    evil = [
        EVIL,
        "](http://evil.example) [x",
        "~~ ** https://evil.example",
        "a|b\n|c|",
        "x" * 100_000,
        "\u202e",
    ]
    names = {
        number: OwnerNames(name, name, name, {1: name, 2: name}) for number, name in enumerate(evil, start=1)
    }
    plan = [clears(number) for number in names]
    text = shown(tmp_path, plan, names)
    rows = tables(text)[-1]
    assert [len(row) for row in rows] == [3] * (len(evil) + 1)
    hrefs = re.findall(r'href="(.*?)"', "".join(cell for row in rows for cell in row))
    assert all(one.startswith(f"{PORTAL}/crm/") for one in hrefs)
    assert len(hrefs) == 3 * len(evil)
    assert "x" * 81 not in text
    assert "\u202e" not in text


@pytest.mark.attack
def test_the_page_keeps_to_its_size_whatever_the_names(tmp_path: Path) -> None:
    plan = [
        Change(links(one, *range(1, 30)), links(one, *range(900, 930)), ("й" * 500,)) for one in range(1, 31)
    ]
    name = "й<" * (LONGEST_NAME // 2)
    long = OwnerNames(name, name, name, dict.fromkeys(range(1, 930), name))
    text = shown(tmp_path, plan, {change.owner.id: long for change in plan})
    assert len(text.encode()) <= MOST_BYTES
    assert len(tables(text)[-1]) > 5

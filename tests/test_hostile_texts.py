"""Whoever reads a text from outside needs time in proportion to it, and has a value or one error of ours."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from airflow_bitrix.client.auth import portal_address, webhook
from airflow_bitrix.client.commands import command_of
from airflow_bitrix.client.filters import check_keys
from airflow_bitrix.client.wire import Call, Reply, fault_of, read, request_of
from airflow_bitrix.core.contacts import normal_email, normal_phone
from airflow_bitrix.core.errors import Bitrix24Error, InvalidInput
from airflow_bitrix.core.foreign_text import as_plain_text
from airflow_bitrix.core.numbers import told_id, whole_number
from airflow_bitrix.core.redaction import redact
from airflow_bitrix.core.references import has_reference
from airflow_bitrix.core.timestamps import shown_timestamp
from airflow_bitrix.crm.filter_values import _moment, _number
from airflow_bitrix.crm.known_values import pipeline_of
from airflow_bitrix.crm.phones import phone_reader, spellings
from airflow_bitrix.files.csv_cells import as_cell, text_of_cell
from airflow_bitrix.files.id_cells import NoIdError, id_in_cell
from airflow_bitrix.files.maps import map_rows, read_map
from airflow_bitrix.files.owner_lists import read_owner_ids
from airflow_bitrix.hooks.connection import who_is_connected
from airflow_bitrix.operators.shared.artifacts import folder_names
from airflow_bitrix.operators.shared.parameters import hours, optional_day, quiet_hours, share, time_zone
from airflow_bitrix.report.markdown_cells import cell
from airflow_bitrix.report.page import Tab, as_tab
from airflow_bitrix.sandbox.filters import _like
from tests.growth import UNITS, hostile_texts, runs_away

PAGE = 500
"""An HTTP status under which any page comes."""


def of_russia(text: str) -> object:
    return spellings(phone_reader("RU")(text) or "1")


READERS: Mapping[str, Callable[[str], object]] = {
    "plain text": as_plain_text,
    "redaction": redact,
    "a cell": as_cell,
    "of a cell": text_of_cell,
    "an approval": lambda text: cell(text, 90),
    "a page": lambda text: as_tab(None, Tab(text, [])),
    "a page that is no answer": lambda text: read(Reply(PAGE, text.encode(errors="replace"))),
    "no answer": lambda text: read(Reply(200, text.encode(errors="replace"))),
    "an error's text": lambda text: fault_of({"error": text, "error_description": text}),
    "an error in an error": lambda text: fault_of({"error": {"code": [text], "message": {text: text}}}),
    "an error that is a text": fault_of,
    "a new address": lambda text: read(Reply(302, b"", text)),
    "a refused value": lambda text: InvalidInput("x", text, "y", problem=text),
    "refused values": lambda text: InvalidInput("x", [text, {text: 1}], text).called(text),
    "who is connected": lambda text: who_is_connected("x", {"NAME": text, "ADMIN": 1}, ["crm", text]),
    "a number": lambda text: (whole_number(text), told_id(text)),
    "an id": id_in_cell,
    "a row": lambda text: list(map_rows([[text, text], {"old": text, "new": 1}, [1, 2]], "contact_map")),
    "a Russian phone": of_russia,
    "any phone": phone_reader(""),
    "contacts": lambda text: (normal_email(text), normal_phone(text)),
    "a host": portal_address,
    "a connection's host": lambda text: webhook(host=text, login=text, password="abc"),
    "a code": lambda text: webhook(host="acme.bitrix24.com", login="1", password=text),
    "a pasted webhook": lambda text: webhook(host="", password=f"https://acme.bitrix24.com/rest/1/{text}"),
    "a moment": lambda text: (shown_timestamp(text), _moment(text), _number(text)),
    "a stage": pipeline_of,
    "a method": Call,
    "an owner": lambda text: str(Call("crm.lead.contact.items.get", {"id": text})),
    "a parameter": lambda text: request_of(Call("profile", {text: [text, {"a": text}]})),
    "a command": lambda text: command_of(Call("crm.item.list", {"filter": {text: text}})),
    "a reference": has_reference,
    "a filter": lambda text: check_keys({text: 1}),
    "a name of a file": lambda text: folder_names("a_dag", text),
    "a day": lambda text: optional_day("day", text),
    "a share": lambda text: share("share", text),
    "hours": lambda text: hours("hours", text),
    "quiet hours": lambda text: quiet_hours(text, "UTC"),
    "a time zone": lambda text: time_zone("timezone", text),
    "a filter of the sandbox": lambda text: _like(text[:40] + "%b")(text),
}

OF_READERS = (
    "доб",
    "ext",
    "7",
    "+7 ",
    "&#9",
    "C1:",
    "$result",
    "$time[",
    "2026-",
    "é.",
    "ß",
    "⒈",
    "㎭",
    "xn--",
)


@pytest.mark.parametrize(
    ("work", "told"),
    [
        (re.compile(r"(a|aa)+$").match, "for 24 signs"),
        (lambda text: re.search("a*a*b", text * 2), "for 256 signs"),
        (lambda text: [sign.upper() for sign in text * 100], ""),
    ],
    ids=["doubles", "cube", "line"],
)
def test_what_takes_longer_than_its_length_is_told(work: Callable[[str], object], told: str) -> None:
    said = runs_away(work, lambda size: "a" * size + "\x01")
    assert told in said if told else not said


@pytest.mark.attack
@pytest.mark.parametrize("reader", READERS)
def test_a_text_is_read_in_time_in_proportion_to_it_and_to_one_clear_error(reader: str) -> None:
    work = tolerant(READERS[reader])
    for text in hostile_texts([*UNITS, *OF_READERS]):
        assert not runs_away(work, text)


def tolerant(work: Callable[[str], object]) -> Callable[[str], object]:
    def tried(text: str) -> object:
        with suppress(Bitrix24Error, NoIdError):
            return work(text)
        return None

    return tried


FILES: Mapping[str, Callable[[Path], Iterable[object]]] = {
    "a map": lambda path: list(read_map(path, "contact_map")),
    "a list of owners": lambda path: read_owner_ids(path, "lead"),
}


@pytest.mark.attack
@pytest.mark.parametrize(
    "start", ["", "1,2\n", "owner_id\n", "old,new\n", '{"old":1,"new":"', "[", "sep=,\n"]
)
@pytest.mark.parametrize("reader", FILES)
def test_a_file_is_read_in_time_in_proportion_to_it(reader: str, start: str, tmp_path: Path) -> None:
    path = tmp_path / "given.csv"

    def read_it(text: str) -> None:
        path.write_text(start + text, encoding="utf-8", errors="replace", newline="")
        with suppress(Bitrix24Error):
            FILES[reader](path)

    for text in hostile_texts(
        ['"', '"a"\n', "a\n", "1", "1,", "\n", ",", ";", " ", "[", '{"', "1\n", "\t\0"]
    ):
        assert not runs_away(read_it, text)


FAILED = "HTTP status 500 (Internal Server Error), and no answer that can be read"


@pytest.mark.attack
def test_a_huge_page_or_error_costs_what_its_first_words_cost() -> None:
    """200 kB of a title that never ends, or 40 kB of slashes, kept a task busy for minutes to hours."""
    huge = "<title>" * 10**6
    fault = read(Reply(PAGE, huge.encode()))
    assert str(fault.answer) == f"{FAILED}: <"  # type: ignore[union-attr]
    told = read(
        Reply(400, json.dumps({"error": "/" * 40_000, "error_description": "/" * 5_000_000}).encode())
    )
    assert len(str(told.answer)) < 1_300  # type: ignore[union-attr]
    title = read(Reply(PAGE, b"<html><TITLE lang='ru'>Bad &amp; sad\n gateway</title>" + huge.encode()))
    assert str(title.answer) == f"{FAILED}: Bad & sad gateway"  # type: ignore[union-attr]

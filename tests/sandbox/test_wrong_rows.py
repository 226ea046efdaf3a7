"""Pages of lists come as the faults for rows have them, and no other answer does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_bitrix.sandbox import wrong_rows

if TYPE_CHECKING:
    from airflow_bitrix.sandbox.server import Sandbox
    from tests.sandbox.conftest import Client

ASKED: dict[str, Any] = {"entityTypeId": 1, "select": ["id", "contactIds", "stageId"], "filter": {"<=id": 60}}


def page(client: Client) -> Any:
    return client.call("crm.item.list", ASKED).result


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("short_page", lambda rows: rows[:-1]),
        ("no_rows", lambda _: []),
        ("row_twice", lambda rows: [rows[0], *rows[:-1]]),
        ("rows_reversed", lambda rows: rows[::-1]),
        ("page_too_long", lambda rows: [*rows, rows[-1]]),
        ("page_null", lambda _: None),
        ("contact_ids_null", lambda rows: [{**row, "contactIds": None} for row in rows]),
        ("id_text", lambda rows: [{**row, "id": str(row["id"])} for row in rows]),
    ],
)
def test_a_page_is_changed_alone_and_in_a_batch(
    kind: str, change: Any, sandbox: Sandbox, client: Client
) -> None:
    rows = page(client)["items"]
    sandbox.set_faults(wrong_rows={kind: 1.0})
    assert page(client) == {"items": change(rows)}
    maps = client.batch({"a": "crm.lead.list?start=-1", "b": "crm.lead.get?id=5"})
    assert sandbox.stats()["faults"] == {f"wrong_rows.{kind}": 2}
    assert maps["result"]["b"]["ID"] == "5"


@pytest.mark.parametrize("kind", wrong_rows.ALL)
def test_each_kind_makes_another_answer_and_by_its_seed_the_same(
    kind: str, sandbox: Sandbox, client: Client
) -> None:
    more = ["contactId", "companyId", "isReturnCustomer", "createdTime"]
    asked = {**ASKED, "select": [*ASKED["select"], *more]}
    right = client.call("crm.item.list", asked).body
    wrong = []
    for _ in range(2):
        sandbox.set_faults(seed=3, wrong_rows={kind: 1.0})
        wrong.append(client.call("crm.item.list", asked).body)
    for body in (right, *wrong):
        body.pop("time")
    assert wrong[0] == wrong[1] != right

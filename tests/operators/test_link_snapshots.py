"""Snapshots: the links of a portal in a file, as they are."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.operators.link_snapshots import Bitrix24ExportContactLinksOperator
from airflow_bitrix.pipelines.snapshot_rows import snapshot_rows


@pytest.fixture
def sandbox(make_sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    sandbox = make_sandbox(leads=700, deals=300, contacts=300, plan="self_hosted")
    found = {"conn_type": "bitrix24", "password": sandbox.webhook_url, "extra": {"plan": "self_hosted"}}
    monkeypatch.setenv("AIRFLOW_CONN_BITRIX24_DEFAULT", json.dumps(found))
    return sandbox


def by_id(item: tuple[str, Any]) -> int:
    return int(item[0])


def export(folder: Path, **arguments: Any) -> Any:
    fields = {"artifacts_path": str(folder), **arguments}
    return Bitrix24ExportContactLinksOperator(task_id="export", **fields).execute({})


def lines_of(made: Any) -> list[Any]:
    content = (Path(made["snapshot"]) / "links.jsonl").read_text()
    assert hashlib.sha256(content.encode()).hexdigest() == made["sha256"]
    return [json.loads(line) for line in content.splitlines()]


@pytest.mark.parametrize("kind", ["lead", "deal"])
def test_a_full_snapshot_holds_every_link_exactly_in_order_of_owners(
    kind: str, sandbox: Any, tmp_path: Path
) -> None:
    made = export(tmp_path, kind=kind, detail="full")
    truth = sandbox.links(kind)
    assert [(line["owner"], line["links"]) for line in lines_of(made)] == [
        (int(owner), [[row[0], row[1], row[2] == "Y", row[3]] for row in data["links"]])
        for owner, data in sorted(truth.items(), key=lambda item: int(item[0]))
    ]
    rows = [row for row in snapshot_rows(made) if row["contact_id"]]
    assert sorted(
        (row["owner_id"], row["contact_id"], row["sort"], row["is_primary"]) for row in rows
    ) == sorted(
        (int(owner), row[0], row[1], row[2] == "Y") for owner, data in truth.items() for row in data["links"]
    )
    bare = [row["owner_id"] for row in snapshot_rows(made["snapshot"]) if row["contact_id"] is None]
    assert bare == [int(owner) for owner, data in sorted(truth.items(), key=by_id) if not data["links"]]
    assert made["owners"] == len(truth)
    assert made["links"] == sum(len(data["links"]) for data in truth.values())


def test_a_snapshot_of_ids_takes_two_requests_and_leaves_sorts_open(sandbox: Any, tmp_path: Path) -> None:
    made = export(tmp_path)
    assert made["requests"] == sandbox.stats()["admitted"] == 2  # who sees the portal, and the scan
    for line in lines_of(made):
        assert {(row[1], row[3]) for row in line["links"]} <= {(None, None)}
    about = json.loads((tmp_path / "snapshot" / "manifest.json").read_text())
    assert (about["kind"], about["portal"], about["detail"]) == ("lead", sandbox.base_url, "ids")


def test_a_filter_narrows_a_snapshot(sandbox: Any, tmp_path: Path) -> None:
    made = export(tmp_path, filter={"<=id": 40})
    assert [line["owner"] for line in lines_of(made)] == list(range(1, 41))
    assert sandbox.stats()["writes"] == 0


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [({"kind": "order"}, "kind"), ({"detail": "all"}, "detail"), ({"filter": {"stagId": 1}}, "filter")],
)
@pytest.mark.usefixtures("sandbox")
def test_a_parameter_that_cannot_be_right_is_refused_and_leaves_no_snapshot(
    arguments: dict[str, Any], argument: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInput, match=rf"^{argument}: "):
        export(tmp_path, **arguments)
    assert not (tmp_path / "snapshot" / "manifest.json").exists()


def test_a_portal_that_leaves_links_out_of_its_lists_is_named_in_summary_and_log(
    sandbox: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert export(tmp_path)["hidden_links"] == 0
    sandbox.set_switches(hide_contact_ids=True)
    made = export(tmp_path)
    assert made["hidden_links"] == made["owners"] == 700
    about = json.loads((Path(made["snapshot"]) / "manifest.json").read_text())
    assert about["hidden_links"] == 700
    assert caplog.text.count("The portal leaves contactIds out of crm.item.list") == 1


@pytest.mark.parametrize("given", [{}, {"snapshot": 5}, "", None])
def test_what_is_no_snapshot_is_refused_before_anything_is_read(given: Any) -> None:
    with pytest.raises(InvalidInput, match="what the export task returned, or the folder of a snapshot"):
        snapshot_rows(given)

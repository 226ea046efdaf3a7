"""The migration DAGs, run by Airflow in this process on sandboxes, to the exact expected end."""

from __future__ import annotations

import csv
import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from tests.airflow.conftest import run_anew
from tests.airflow.sample_dags import RESTORE, folder_of, of_groups

REMAP = "bitrix24_contact_remap"
LEAD_TO_DEAL = "bitrix24_lead_to_deal_links"
COMPANIES = "bitrix24_company_remap"
PORTALS = "bitrix24_portal_to_portal_links"

Rows = list[tuple[int, int, str]]


@pytest.fixture
def run(dags: dict[str, DAG], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Run a DAG on sandboxes, by the ids of their connections; tasks are not retried."""

    def go(dag_id: str, sandboxes: dict[str, Any], **conf: Any) -> Any:
        for conn_id, sandbox in sandboxes.items():
            found = {
                "conn_type": "bitrix24",
                "password": sandbox.webhook_url,
                "extra": {"plan": "self_hosted"},
            }
            monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(found))
        done = run_anew(dags[dag_id], conf)
        return done, {ti.task_id: ti.state for ti in done.get_task_instances()}

    return go


@pytest.mark.parametrize(
    "typed", ["1.10", "1_000", "+5", "True", "[1]", 'it\'s "old"', "\u0444\U0001f600", None]
)
@pytest.mark.parametrize("name", ["originator", "match_field"])
def test_a_text_of_the_form_reaches_the_operator_as_it_was_typed(
    name: str, typed: str | None, dags: dict[str, DAG]
) -> None:
    """Airflow makes numbers and lists of rendered texts; another originator would be looked for."""
    task = dags[PORTALS].get_task("plans.leads")
    context: Any = {"params": {"originator": None, "match_field": None, name: typed}}
    assert task.render_template(getattr(task, name), context) == (typed or "")


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as rows:
        return list(csv.DictReader(rows))


def rows_of(owner: dict[str, Any]) -> Rows:
    rows = ((contact, sort, flag) for contact, sort, flag, _ in owner["links"])
    return sorted(rows, key=lambda row: (row[1], row[0]))


def all_rows(sandbox: Any, kind: str) -> dict[int, Rows]:
    return {int(owner): rows_of(data) for owner, data in sandbox.links(kind).items()}


def without_flags(found: dict[int, Rows]) -> dict[int, list[tuple[int, int]]]:
    return {owner: [row[:2] for row in rows] for owner, rows in found.items()}


def main_of(owner: dict[str, Any]) -> int | None:
    """The contact that the portal shows first: its CONTACT_ID, or what the flags say."""
    rows = rows_of(owner)
    if owner["contact_id"] in [row[0] for row in rows]:
        return int(owner["contact_id"])
    return min((contact for contact, _, flag in rows if flag == "Y"), default=None)


def placed(links: list[tuple[int, int]], main: int | None) -> Rows:
    first = main if main in [contact for contact, _ in links] else links[0][0] if links else None
    rows = [(contact, sort, "NY"[contact == first]) for contact, sort in links]
    return sorted(rows, key=lambda row: (row[1], row[0]))


@pytest.mark.parametrize("dag_id", [REMAP, COMPANIES, LEAD_TO_DEAL, PORTALS])
def test_a_newcomer_finds_docs_tags_and_a_dry_run(dag_id: str, dags: dict[str, DAG]) -> None:
    dag = dags[dag_id]
    assert "**How to run it**" in str(dag.doc_md)
    assert "no automation" in str(dag.doc_md)
    assert {"bitrix24", "migration"} <= dag.tags
    assert dag.params["dry_run"] is True
    for name in dag.params:
        param = dag.params.get_param(name)
        assert param.description, name
        assert param.schema["title"], name
    assert dag.schedule is None
    assert dag.max_active_runs > 1  # what waits for somebody holds up no dry run


def test_contacts_are_replaced_wherever_they_hang_and_one_run_takes_it_back(
    run: Any, make_sandbox: Any, tmp_path: Path
) -> None:
    sandbox = make_sandbox(leads=400, deals=300, contacts=400, quotes=100, companies=50, plan="self_hosted")
    pairs = {old: old - 1 for old in range(2, 90, 2)} | {90: 89, 91: 90}  # 91 -> 90 -> 89
    path = tmp_path / "merged.csv"
    path.write_bytes(
        ("\ufeffold;new\r\n" + "".join(f"{old};{new}\r\n" for old, new in pairs.items())).encode()
    )
    became = pairs | {91: 89}

    def expected(kind: str) -> dict[int, Rows]:
        found = {}
        for number, owner in sandbox.links(kind).items():
            rows = rows_of(owner)
            found[int(number)] = rows
            if {row[0] for row in rows} & became.keys():
                sorts: dict[int, int] = {}
                for contact, sort, _ in rows:
                    sorts.setdefault(became.get(contact, contact), sort)
                main = main_of(owner) or rows[0][0]
                found[int(number)] = placed(list(sorts.items()), became.get(main, main))
        return found

    kinds = ("lead", "deal", "quote")
    before = {kind: all_rows(sandbox, kind) for kind in (*kinds, "company")}
    wanted = {kind: expected(kind) for kind in kinds}
    companies = {
        company: {became.get(contact, contact) for contact, *_ in rows}
        for company, rows in before["company"].items()
    }
    done, states = run(REMAP, {"bitrix24_default": sandbox}, map_file=str(path), kinds=["lead"])
    assert of_groups(states, "chosen", "approve", "leads") == {"success"}
    chosen = ("leads", "deals", "quotes", "companies")
    assert of_groups(states, *chosen[1:], "invoices") == {"skipped"}
    assert sandbox.stats()["writes"] == 0
    left = {int(row["target_owner"]) for row in table(folder_of(done, "leads.compare") / "reconcile.csv")}
    changed = {lead for lead, rows in wanted["lead"].items() if rows != before["lead"][lead]}
    assert left == changed
    assert len(changed) > 30

    done, states = run(REMAP, {"bitrix24_default": sandbox}, map_file=str(path), dry_run=False)
    assert of_groups(states, "approve", *chosen) == {"success"}
    assert {kind: all_rows(sandbox, kind) for kind in kinds} == wanted
    assert {
        company: {contact for contact, *_ in rows} for company, rows in all_rows(sandbox, "company").items()
    } == companies
    for kind in chosen:
        assert table(folder_of(done, f"{kind}.compare") / "reconcile.csv") == []

    run_folder = str(folder_of(done, "plans.leads").parent)
    _, states = run(RESTORE, {"bitrix24_default": sandbox}, journal=run_folder, dry_run=False)
    assert of_groups(states, "approve", *chosen) == {"success"}
    assert of_groups(states, "invoices", "smart_process") == {"skipped"}
    # The portal flags exactly one, whatever was flagged before.
    for kind in (*kinds, "company"):
        assert without_flags(all_rows(sandbox, kind)) == without_flags(before[kind])


LEADS_AND_DEALS = ["lead", "deal"]


def test_contacts_typed_into_the_form_are_enough_and_none_at_all_fail(run: Any, make_sandbox: Any) -> None:
    sandbox = make_sandbox(contacts=5, plan="self_hosted")
    sandbox.state.add("lead", {"CONTACT_IDS": [3, 1]})
    sandbox.state.add("deal", {"CONTACT_IDS": [2]})
    sandbox.state.add("quote", {"CONTACT_IDS": [2]})
    form = {"dry_run": False, "kinds": LEADS_AND_DEALS}
    _, states = run(REMAP, {"bitrix24_default": sandbox}, **form)
    assert {states["plans.leads"], states["plans.deals"]} == {"failed"}
    _, states = run(REMAP, {"bitrix24_default": sandbox}, **form, contacts={"3": 4, "2": 5})
    assert of_groups(states, "leads", "deals", "approve") == {"success"}
    assert of_groups(states, "quotes", "companies", "invoices") == {"skipped"}
    assert all_rows(sandbox, "lead") == {1: [(4, 10, "Y"), (1, 20, "N")]}
    assert all_rows(sandbox, "deal") == {1: [(5, 10, "Y")]}
    assert all_rows(sandbox, "quote") == {1: [(2, 10, "Y")]}


def test_contacts_and_a_map_file_at_once_fail_and_change_nothing(
    run: Any, make_sandbox: Any, tmp_path: Path
) -> None:
    sandbox = make_sandbox(contacts=10, plan="self_hosted")
    for contact in (1, 2):
        sandbox.state.add("lead", {"CONTACT_IDS": [contact]})
    path = tmp_path / "merged.csv"
    path.write_text("old,new\n1,5\n")
    before = all_rows(sandbox, "lead")
    found, form = {"bitrix24_default": sandbox}, {"dry_run": False, "map_file": str(path), "kinds": ["lead"]}
    _, states = run(REMAP, found, **form, contacts={"2": 6})
    assert states["plans.leads"] == "failed"
    assert all_rows(sandbox, "lead") == before
    _, states = run(REMAP, found, **form)
    assert of_groups(states, "leads", "approve") == {"success"}
    assert all_rows(sandbox, "lead") == {1: [(5, 10, "Y")], 2: [(2, 10, "Y")]}


def test_where_the_plan_of_one_kind_fails_nobody_is_asked_about_the_others(
    run: Any, make_sandbox: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    """As where invoices are chosen, and nobody has said that they may be saved."""
    sandbox = make_sandbox(contacts=5, plan="self_hosted")
    sandbox.state.add("lead", {"CONTACT_IDS": [3]})
    form = {"dry_run": False, "kinds": ["lead", "smart_invoice"], "contacts": {"3": 4}}
    _, states = run(REMAP, {"bitrix24_default": sandbox}, **form)
    assert (states["plans.leads"], states["plans.invoices"], states["approve"]) == (
        "success",
        "failed",
        "upstream_failed",
    )
    assert "success" not in {states[f"leads.{task}"] for task in ("canary", "apply", "check", "compare")}
    assert "allow_saving: False is not accepted; accepted: True, as links of invoices" in "".join(
        capfd.readouterr()
    )
    assert all_rows(sandbox, "lead") == {1: [(3, 10, "Y")]}


@pytest.mark.parametrize("mode", ["copy", "move"])
def test_contacts_of_leads_come_onto_their_deals(mode: str, run: Any, make_sandbox: Any) -> None:
    sandbox = make_sandbox(leads=250, deals=450, contacts=200, plan="self_hosted")
    there = set(sandbox.state.tables["contact"].rows)
    lead_of = {number: row.get("LEAD_ID") for number, row in sandbox.state.tables["deal"].rows.items()}
    leads, deals = sandbox.links("lead"), sandbox.links("deal")
    wanted: dict[int, Rows] = {}
    lost = set()
    for number, deal in deals.items():
        rows, lead = rows_of(deal), leads.get(str(lead_of[int(number)]))
        wanted[int(number)] = rows
        own = {row[0] for row in rows}
        missing = [row for row in rows_of(lead) if row[0] not in own] if lead else []
        further = [row for row in missing if row[0] in there]
        lost |= {(int(number), row[0]) for row in missing if row[0] not in there}
        if lead and further:
            links = [row[:2] for row in rows]
            for contact, sort, _ in further:
                last = max((link[1] for link in links), default=0)
                links.append((contact, sort if sort > last else last + 10))
            wanted[int(number)] = placed(links, main_of(deal) or main_of(lead))
    held: dict[int, set[int]] = {}
    for deal_id, rows in wanted.items():
        if lead_id := lead_of[deal_id]:
            contacts = {row[0] for row in rows}
            held[lead_id] = held.get(lead_id, contacts) & contacts
    wanted_leads = all_rows(sandbox, "lead")
    if mode == "move":
        for lead_id, contacts in held.items():
            owner = leads[str(lead_id)]
            if contacts & {row[0] for row in rows_of(owner)}:
                rest = [row for row in rows_of(owner) if row[0] not in contacts]
                main = main_of(owner)
                main = (
                    main if main not in contacts else min((r[0] for r in rest if r[2] == "Y"), default=None)
                )
                wanted_leads[lead_id] = placed([row[:2] for row in rest], main)

    before = all_rows(sandbox, "lead"), all_rows(sandbox, "deal")
    _, states = run(LEAD_TO_DEAL, {"bitrix24_default": sandbox}, mode=mode)
    assert set(states.values()) <= {"success", "skipped"}
    assert (all_rows(sandbox, "lead"), all_rows(sandbox, "deal")) == before

    done, states = run(LEAD_TO_DEAL, {"bitrix24_default": sandbox}, mode=mode, dry_run=False)
    of_leads = {state for task, state in states.items() if task.startswith("leads.")}
    assert of_leads == {"success" if mode == "move" else "skipped"}
    assert {state for task, state in states.items() if not task.startswith("leads.")} == {"success"}
    assert all_rows(sandbox, "deal") == wanted != before[1]
    assert all_rows(sandbox, "lead") == wanted_leads
    assert (wanted_leads != before[0]) == (mode == "move")
    left = table(folder_of(done, "deals.compare") / "reconcile.csv")
    found = {(row["difference"], int(row["source_owner"]), int(row["source_contact"])) for row in left}
    assert found == {("left out", deal, contact) for deal, contact in lost}


def test_where_a_deal_could_not_be_written_no_lead_loses_its_contacts(run: Any, make_sandbox: Any) -> None:
    sandbox = make_sandbox(contacts=4, plan="self_hosted")
    for contacts in ([1, 2], [3]):
        lead = sandbox.state.add("lead", {"CONTACT_IDS": contacts})
        sandbox.state.add("deal", {"LEAD_ID": lead})
    sandbox.set_faults(
        command=1.0,
        command_error={"error": "ERROR_CORE", "error_description": "Locked"},
        only_methods=["crm.deal.contact.items.set"],
    )
    _, states = run(LEAD_TO_DEAL, {"bitrix24_default": sandbox}, mode="move", dry_run=False)
    assert "failed" in states.values()
    assert {state for task, state in states.items() if task.startswith("leads.")} == {"upstream_failed"}
    assert all_rows(sandbox, "lead") == {1: [(1, 10, "Y"), (2, 20, "N")], 2: [(3, 10, "Y")]}
    sandbox.clear_faults()
    _, states = run(LEAD_TO_DEAL, {"bitrix24_default": sandbox}, mode="move", dry_run=False)
    assert set(states.values()) == {"success"}
    assert all_rows(sandbox, "lead") == {1: [], 2: []}
    assert all_rows(sandbox, "deal") == {1: [(1, 10, "Y"), (2, 20, "N")], 2: [(3, 10, "Y")]}


class Import:
    """Records of a source that arrive in a target, without their links."""

    def __init__(self, source: Any, target: Any) -> None:
        self.source, self.target = source, target
        self.there: dict[tuple[str, int], int] = {}
        self._rng = random.Random(11)

    def arrive(self, kind: str, share: float) -> None:
        rows = self.source.state.tables[kind].rows
        numbers = [n for n in rows if (kind, n) not in self.there and self._rng.random() < share]
        self._rng.shuffle(numbers)
        for number in numbers:
            fields = {"ORIGINATOR_ID": "acme", "ORIGIN_ID": str(number)}
            self.there[kind, number] = self.target.state.add(kind, fields)

    def waiting(self, kind: str) -> set[int]:
        """The source's owners that have links, and no copy yet, or a contact without one."""
        contacts = self.source.state.tables["contact"].rows
        return {
            int(number)
            for number, owner in self.source.links(kind).items()
            if rows_of(owner)
            and (
                (kind, int(number)) not in self.there
                or any(("contact", row[0]) not in self.there for row in rows_of(owner) if row[0] in contacts)
            )
        }

    def expected(self, kind: str) -> dict[int, Rows]:
        """What the links of the target come to."""
        found = {new: list[tuple[int, int, str]]() for (which, _), new in self.there.items() if which == kind}
        waiting, contacts = self.waiting(kind), self.source.state.tables["contact"].rows
        for number, owner in self.source.links(kind).items():
            if int(number) not in waiting and (kind, int(number)) in self.there:
                links = [row[:2] for row in rows_of(owner) if row[0] in contacts]
                main = self.there.get(("contact", main_of(owner) or 0))
                there = [(self.there["contact", contact], sort) for contact, sort in links]
                found[self.there[kind, int(number)]] = placed(there, main)
        return found


def parked(kind: str) -> set[int]:
    root = Path(os.environ["AIRFLOW__BITRIX24__ARTIFACTS_PATH"]) / PORTALS / "parked"
    (path,) = (root / f"plans.{kind}s").glob(f"parked-{kind}.*.jsonl")
    _, *lines = path.read_text().splitlines()
    return {json.loads(line)["owner"] for line in lines}


def test_links_of_a_portal_arrive_in_another_as_its_records_do(run: Any, make_sandbox: Any) -> None:
    source = make_sandbox(leads=240, deals=240, contacts=200, plan="self_hosted")
    target = make_sandbox(plan="self_hosted")
    both = {"bitrix24_source": source, "bitrix24_default": target}
    brought = Import(source, target)
    for kind, share in (("contact", 0.8), ("lead", 0.7), ("deal", 0.7)):
        brought.arrive(kind, share)
    chosen = ("chosen", "leads", "deals", "approve")
    done, states = run(PORTALS, both, originator="acme")
    assert of_groups(states, "quotes", "companies", "invoices") == {"skipped"}
    assert of_groups(states, *chosen) == {"success"}
    assert target.stats()["writes"] == 0
    for kind in ("lead", "deal"):
        _, *would_be = (folder_of(done, f"plans.{kind}s") / "plan" / "parked.jsonl").read_text().splitlines()
        waiting = {json.loads(line)["owner"] for line in would_be}
        assert waiting == brought.waiting(kind)
    assert not (folder_of(done, "").parent / "parked").exists()

    conf = {"originator": "acme", "dry_run": False}
    done, states = run(PORTALS, both, **conf)
    assert of_groups(states, *chosen) == {"success"}
    for kind in ("lead", "deal"):
        assert all_rows(target, kind) == brought.expected(kind)
        assert parked(kind) == brought.waiting(kind)
        assert len(parked(kind)) > 50
        left = table(folder_of(done, f"{kind}s.compare") / "reconcile.csv")
        assert {int(row["source_owner"]) for row in left if row["difference"] == "parked"} == parked(kind)
        assert {row["difference"] for row in left} == {"parked", "left out"}

    # The rest arrives. A run for new deals alone takes up the old ones that wait, and no leads.
    for kind in ("contact", "lead", "deal"):
        brought.arrive(kind, 1.0)
    leads = all_rows(target, "lead")
    _, states = run(PORTALS, both, **conf, kinds=["deal"], filter={">id": 10_000})
    assert of_groups(states, "deals", "approve") == {"success"}
    assert of_groups(states, "leads") == {"skipped"}
    assert all_rows(target, "deal") == brought.expected("deal")
    assert brought.waiting("deal") == set()
    assert all_rows(target, "lead") == leads

    _, states = run(PORTALS, both, **conf, detail="ids")
    assert of_groups(states, *chosen) == {"success"}
    for kind in ("lead", "deal"):
        assert all_rows(target, kind) == brought.expected(kind)
    assert parked("deal") == set()
    run(PORTALS, both, **conf)
    assert parked("lead") == set()
    assert source.stats()["writes"] == 0

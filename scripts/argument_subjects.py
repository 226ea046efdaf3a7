"""How each operator is tried: what it needs at least, and what it makes of its arguments before it asks."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import fields
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from airflow_bitrix.core.guards import Guards
from airflow_bitrix.core.links import ContactLink, LinkSet, Owner
from airflow_bitrix.core.plan import Change, ChangeOutcome
from airflow_bitrix.core.rules import RULES, Rule
from airflow_bitrix.files.approvals import Approval, write_approval
from airflow_bitrix.files.journals import JournalPart
from airflow_bitrix.files.plans import PlanWriter
from airflow_bitrix.files.snapshots import SnapshotWriter
from airflow_bitrix.operators import contact_links
from airflow_bitrix.operators.housekeeping import Bitrix24HousekeepingOperator
from airflow_bitrix.operators.link_plans import (
    Bitrix24ApplyLinkPlanOperator,
    Bitrix24ApproveLinkPlanOperator,
    Bitrix24CanaryLinkPlanOperator,
    Bitrix24CheckLinkPlanOperator,
    Bitrix24ExportContactLinksOperator,
    Bitrix24PlanLinkCleanupOperator,
    Bitrix24PlanLinkMigrationOperator,
    Bitrix24PlanLinkRestoreOperator,
    Bitrix24ReconcileContactLinksOperator,
)
from airflow_bitrix.operators.shared.restore_sources import kind_asked
from airflow_bitrix.rules.company_cards import CompanyCardPrimary
from airflow_bitrix.rules.found_contacts import LinkFoundContact
from airflow_bitrix.sensors.contact_links import Bitrix24ContactLinksSensor
from airflow_bitrix.sensors.records import Bitrix24RecordsSensor
from scripts.argument_probes import RuleSubject, Subject

PORTAL, SOURCE = "https://acme.bitrix24.com", "https://old.bitrix24.com"

CONNECTIONS = {
    f"AIRFLOW_CONN_{conn_id.upper()}": json.dumps({"conn_type": "bitrix24", "password": address})
    for conn_id, address in {
        "bitrix24_default": f"{PORTAL}/rest/1/abc123/",
        "same_portal": f"{PORTAL}/rest/2/abc123/",
        "old_portal": f"{SOURCE}/rest/1/abc123/",
        "older_portal": "https://older.bitrix24.com/rest/1/abc123/",
    }.items()
}
"""Environment that the probes need: connections that are read, and never used."""

_NOW = datetime(2026, 11, 1, tzinfo=UTC)

_CONTEXT: Any = {
    "dag": SimpleNamespace(dag_id="dag"),
    "run_id": "run",
    "ti": SimpleNamespace(task_id="task", map_index=-1),
}

_EXAMPLES: Mapping[str, Any] = {
    "bitrix24_conn_id": "same_portal",
    "deferrable": False,
    "artifacts_path": "elsewhere",
    "owner_id": 5,
    "contact_id": 17,
    "company_id": 4,
    "sort": 30,
    "is_primary": "Y",
    "items": [17, {"CONTACT_ID": 23, "IS_PRIMARY": "Y"}],
    "api_method": "profile",
    "api_params": {"id": 5},
    "max_changes": 50,
    "max_share": "20%",
    "max_error_share": "5%",
    "portals": [PORTAL],
    "allow_saving": True,
    "quiet": {"quiet_hours": "08:00-18:00"},
    "quiet_hours": "08:00-18:00",
    "timezone": "Europe/Berlin",
    "rules": ["remove_dangling"],
    "rule_options": {"fix_primary": {"believe": "flag"}},
    "kind": "deal",
    "stages": ["NEW"],
    "older_than_days": 30,
    "created_from": date(2026, 11, 1),
    "created_to": "2026-11-01",
    "filter": {"assignedById": 7},
    "migration": "lead_to_deal",
    "contact_map": {17: 23},
    "company_map": {4: 9},
    "save": True,
    "believe_any_user": True,
    "source_conn_id": "older_portal",
    "match": "same_origin",
    "originator": "OLD",
    "match_field": "ufCrmSourceId",
    "extra": "remove",
    "is_dry_run": False,
    "needs_approval": False,
    "parked_path": "elsewhere",
    "max_differences": 0,
    "overwrite": True,
    "link_missing": True,
    "mode": "never",
    "over": 100,
    "valid_for": 48,
    "response_timeout": timedelta(hours=8),
    "execution_timeout": timedelta(hours=1),
    "plan_number": 0,
    "part": 0,
    "first": 5,
    "canary": 10,
    "max_failed": 3,
    "max_failure_share": "20%",
    "wait_for_turn": 0,
    "comment": True,
    "detail": "full",
    "ordered": False,
    "compare_with": "previous",
    "keep": 30,
    "has": [17, 23],
    "lacks": 17,
    "exactly": [17],
    "primary": 17,
    "at_least": 5,
    "at_most": 9,
}
"""A value for each argument that is accepted, and not the default."""


def subjects(folder: Path) -> list[Subject]:
    """Give how each operator is tried.

    :param folder: An empty one, for a plan, a snapshot and lists that the arguments name.
    """
    return [*_link_methods(), *_bulk(_made(folder)), *_sensors()]


def rule_subjects() -> list[RuleSubject]:
    """Give how each clean-up rule is tried that has options."""
    examples: Mapping[str, Any] = {
        "days": 30,
        "since": "created",
        "believe": "flag",
        "company": "unlink",
        "believe_any_user": True,
        "survivor": "oldest",
        "match": "phone",
        "region": "RU",
        "shared_by": 5,
        "keep": 2,
    }
    rules: list[type[Rule]] = [*RULES.values(), CompanyCardPrimary, LinkFoundContact]
    return [RuleSubject(rule, examples) for rule in rules if fields(rule)]


def _link_methods() -> Iterator[Subject]:
    of_companies = {**_EXAMPLES, "items": [4, {"COMPANY_ID": 9, "IS_PRIMARY": "Y"}]}
    given = {"owner_id": 1, "contact_id": 2, "company_id": 2, "items": [3], "api_method": "crm.lead.get"}
    for name in contact_links.__all__:
        operator = getattr(contact_links, name)
        if operator is contact_links.Bitrix24Operator:
            continue
        needed = {key: value for key, value in given.items() if key in operator.template_fields}
        yield Subject(
            operator,
            needed,
            lambda task: (task.deferrable, task.hook.settings, task.api_method, task.parameters()),
            of_companies if operator.api_method.startswith("crm.contact.") else _EXAMPLES,
        )


def _sensors() -> Iterator[Subject]:
    yield Subject(
        Bitrix24ContactLinksSensor,
        {"owner_id": 1, "has": 2},
        lambda task: (task.deferrable, task._hook._settings, task._owner(), task._condition()),
        {**_EXAMPLES, "deferrable": True},
        {"exactly": {"has": None}},
    )
    yield Subject(
        Bitrix24RecordsSensor,
        {},
        lambda task: (task.deferrable, task._hook._settings, task._kind(), task._wanted(), task._condition()),
        {**_EXAMPLES, "deferrable": True},
    )


def _made(folder: Path) -> dict[str, Any]:
    """Make the files that arguments name."""
    links = LinkSet(Owner("lead", 5), (ContactLink(17, 10, is_primary=True, role_id=0),))
    with PlanWriter(folder / "run" / "plan") as plan:
        change = Change(links, LinkSet(links.owner, ()), ("r",), ("r",), may_empty=True)
        plan.add(change)
        manifest = plan.finish(read=1, kind="lead", portal=PORTAL, created="", rules=("r",), guards=Guards())
    write_approval(folder / "run", Approval(manifest.hash, "not asked", "", unasked="never"))
    (folder / "run" / "journal").mkdir()
    with JournalPart(
        folder / "run" / "journal" / "part-00000.jsonl", plan_hash=manifest.hash, dry_run=False
    ) as part:
        part.note(ChangeOutcome(links.owner, "applied", before=links))
    shutil.copytree(folder / "run", folder / "again")
    for name in ("snapshot", "another"):
        with SnapshotWriter(folder / name) as snapshot:
            snapshot.add(links)
            snapshot.finish(kind="lead", portal=PORTAL, created=name, detail="full")
    (folder / "owners.csv").write_text("5\n")
    (folder / "map.csv").write_text("old,new\n17,23\n")
    return {
        "plan": {"plan": str(folder / "run" / "plan"), "hash": manifest.hash, "parts": [[0]]},
        "snapshot": str(folder / "snapshot"),
        "another": str(folder / "another"),
        "run": str(folder / "run"),
        "again": str(folder / "again" / "plan"),
        "owners": str(folder / "owners.csv"),
        "map": str(folder / "map.csv"),
    }


def _common(task: Any) -> tuple[Any, ...]:
    return task.deferrable, task.settings, task.own_folder


def _plan(task: Any) -> tuple[Any, ...]:
    limits = task._guards(), task._may_save(), task._quiet_hours()
    return *_common(task), *limits, task.plan_kind(), task.plan_rules()


def _cleanup(task: Any) -> tuple[Any, ...]:
    rules = task._rules()
    found = [rules, task._filter(rules, _NOW, task._own_filter()), task._owners(task.plan_kind())]
    return *_plan(task), *found, task._errors_allowed()


def _migration(task: Any) -> tuple[Any, ...]:
    task.check_arguments()
    found = [task.migration_name(), task.owners_kind(), task._filter, task.extra, task.detail]
    found += [str(task.save), str(task.believe_any_user)]
    if task.migration in ("contact_map", "company_map"):
        found.append(task._new)
    if task.migration == "portal_to_portal":
        found += [task._matching, task.pairing()]
    return *_common(task), *found


def _restore(task: Any) -> tuple[Any, ...]:
    only = task._only(task.plan_kind())
    switches = [task.overwrite, task.link_missing, task.believe_any_user, task.save]
    return *_plan(task), task._source(), kind_asked(task.kind), only, list(map(str, switches))


def _approve(task: Any) -> tuple[Any, ...]:
    task._check_orders()
    own = task._period(), task._mode(), task._needs_nobody(50), task._limits(), task._checked({})
    return *own, task.response_timeout, task.execution_timeout, task._connection()


def _canary(task: Any) -> tuple[Any, ...]:
    return *_common(task), task.needs_approval, task._trial(), task._read()


def _export(task: Any) -> tuple[Any, ...]:
    kind = task._kind()
    return (
        *_common(task),
        kind,
        task._detail(),
        task._wanted(),
        task._keep(),
        task._earlier(kind),
        task.ordered,
    )


def _bulk(made: Mapping[str, Any]) -> Iterator[Subject]:
    plan = made["plan"]
    yield Subject(
        Bitrix24PlanLinkCleanupOperator,
        {"rules": ["fix_primary"]},
        _cleanup,
        {**_EXAMPLES, "owners_file": made["owners"]},
        {"timezone": {"created_from": "2026-11-01"}},
    )
    pair = {"migration": "portal_to_portal", "kind": "lead", "source_conn_id": "old_portal"}
    contact_map = {"migration": "contact_map", "source_conn_id": None, "match": "origin"}
    company_map = {**contact_map, "migration": "company_map", "kind": None}
    release = {"migration": "release_moved_leads", "kind": "lead", "source_conn_id": None, "match": "origin"}
    migration = {**pair, "match": "same_origin"}
    beside: dict[str, Mapping[str, Any]] = {
        "migration": {"kind": None, "source_conn_id": None, "match": "origin"},
        "contact_map": contact_map,
        "contact_map_file": contact_map,
        "company_map": company_map,
        "company_map_file": company_map,
        "owner_map": {"match": "map", "contact_map": {17: 23}},
        "save": release,
        "believe_any_user": release,
        "match": {},
        "originator": {"match": "origin"},
        "match_field": {"match": "field"},
    }
    examples = {
        **_EXAMPLES,
        "contact_map_file": made["map"],
        "company_map_file": made["map"],
        "owner_map": made["map"],
    }
    examples |= {"detail": "ids", "is_dry_run": True}
    yield Subject(
        Bitrix24PlanLinkMigrationOperator,
        migration,
        lambda task: (*_plan(task), *_migration(task), task._is_dry_run(), task._parked_folder(_CONTEXT)),
        examples,
        beside,
    )
    yield Subject(
        Bitrix24ReconcileContactLinksOperator,
        migration,
        lambda task: (*_migration(task), task._most()),
        examples,
        beside,
    )
    own = {"journal": made["run"], "snapshot": made["snapshot"], "plan": made["again"]}
    own |= {"owners": [5], "owners_file": made["owners"], "kind": "lead"}
    yield Subject(
        Bitrix24PlanLinkRestoreOperator,
        {"journal": made["run"]},
        _restore,
        {**_EXAMPLES, **own},
        {"snapshot": {"journal": None}},
    )
    yield Subject(
        Bitrix24ApproveLinkPlanOperator,
        {"plan": plan, "is_dry_run": False, "mode": "over_limit"},
        _approve,
        {**_EXAMPLES, "plan": plan, "applied_by": {"canary": 5}},
    )
    quiet = {"timezone": {"quiet_hours": "08:00-18:00"}}
    of_several = {"plan_number": {"plan": [plan]}}
    yield Subject(
        Bitrix24ApplyLinkPlanOperator,
        {"plan": plan},
        lambda task: (*_common(task), task.needs_approval, task._read()),
        {**_EXAMPLES, "plan": plan, "plan_hash": plan["hash"]},
        {**quiet, **of_several, "plan_hash": {"plan": plan["plan"]}},
    )
    yield Subject(
        Bitrix24CanaryLinkPlanOperator,
        {"plan": plan},
        _canary,
        {**_EXAMPLES, "plan": plan},
        {**quiet, **of_several},
    )
    yield Subject(
        Bitrix24CheckLinkPlanOperator,
        {"plan": plan},
        lambda task: (*_common(task), task._orders(), task._plan()),
        {**_EXAMPLES, "plan": plan},
        of_several,
    )
    yield Subject(
        Bitrix24ExportContactLinksOperator,
        {},
        _export,
        {**_EXAMPLES, "compare_with": made["snapshot"]},
        {"keep": {"compare_with": "previous"}},
    )
    yield Subject(
        Bitrix24HousekeepingOperator,
        {},
        lambda task: (task._days(), task._is_dry_run(), task._is_about_names(), task._root()),
        {**_EXAMPLES, "keep_days": 30, "only_names": True},
    )

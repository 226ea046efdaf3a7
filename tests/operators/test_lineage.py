"""What tasks tell OpenLineage: data sets and numbers of rows; nothing of it is imported before it asks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_bitrix.operators.link_plans import (
    Bitrix24ApplyLinkPlanOperator,
    Bitrix24ExportContactLinksOperator,
    Bitrix24PlanLinkCleanupOperator,
    Bitrix24ReconcileContactLinksOperator,
)
from airflow_bitrix.operators.shared.lineage import DataSet, Lineage, file_of, lineage, links_of
from tests.operators.applies import sandbox

__all__ = ["sandbox"]


def test_each_task_tells_what_it_read_and_wrote(sandbox: Any, tmp_path: Path) -> None:
    for _ in range(3):
        sandbox.state.add("lead", {"CONTACT_IDS": [1, 999_999]})
    portal = links_of(sandbox.base_url, "lead")
    assert portal.namespace == f"bitrix24://{sandbox.base_url.removeprefix('http://')}"

    def rows(number: int) -> DataSet:
        return links_of(sandbox.base_url, "lead", number)

    given: Any = {"artifacts_path": str(tmp_path / "run")}
    plan = Bitrix24PlanLinkCleanupOperator(task_id="plan", rules=["remove_dangling"], **given)
    assert plan.get_openlineage_facets_on_complete(None) is None
    made = plan.execute({})
    assert plan.lineage == Lineage((rows(3),), (file_of(made["plan"], 3),))

    for is_dry_run, written in ((True, ()), (False, (rows(3),))):
        apply = Bitrix24ApplyLinkPlanOperator(
            task_id="it", plan=made, is_dry_run=is_dry_run, needs_approval=False, **given
        )
        apply.execute({})
        assert apply.lineage == Lineage((file_of(made["plan"], 3),), written)

    export = Bitrix24ExportContactLinksOperator(task_id="export", artifacts_path=str(tmp_path / "night"))
    snapshot = export.execute({})["snapshot"]
    assert export.lineage == Lineage((rows(3),), (file_of(snapshot, 3),))

    compare = Bitrix24ReconcileContactLinksOperator(
        task_id="compare", migration="contact_map", kind="lead", contact_map={1: 2}, **given
    )
    told = compare.execute({})
    written = (file_of(told["reconcile_csv"], told["differences"]),)
    assert compare.lineage == Lineage((rows(told["read"]),), written)


@pytest.mark.parametrize(
    ("path", "namespace", "name"),
    [
        ("/opt/runs/plan", "file", "/opt/runs/plan"),
        ("s3://aws_default@bucket/runs/plan", "s3://bucket", "runs/plan"),
        ("s3://bucket/plan", "s3://bucket", "plan"),
    ],
)
def test_files_are_named_as_openlineage_names_them(path: str, namespace: str, name: str) -> None:
    assert file_of(path, 7) == DataSet(namespace, name, 7)


def test_a_data_set_is_told_once() -> None:
    one, again, other = DataSet("n", "a", 1), DataSet("n", "a"), DataSet("n", "b")
    assert lineage([one, again, other], [other, other]) == Lineage((one, other), (other,))


def test_nothing_of_openlineage_is_imported_before_it_asks() -> None:
    found = "print([name for name in sys.modules if 'openlineage' in name])"
    code = f"import sys; import airflow_bitrix.operators.link_plans, airflow_bitrix.assets.portals; {found}"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"

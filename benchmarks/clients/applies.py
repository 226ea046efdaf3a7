"""In place of a client the operator that applies a plan, with its files in a folder or on S3."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from airflow_bitrix.core.guards import Guards
from airflow_bitrix.core.links import LinkSet, Owner
from airflow_bitrix.core.plan import Change
from airflow_bitrix.files.plans import PlanWriter
from airflow_bitrix.operators.link_apply import Bitrix24ApplyLinkPlanOperator
from airflow_bitrix.operators.shared.artifacts import as_folder
from benchmarks.clients.runner import Job, Seen, Told, serve


class Applies:
    """Writes a plan that takes all contacts off some leads, and applies it."""

    def __init__(self, job: Job) -> None:
        portal = {"conn_type": "bitrix24", "password": job.url, "extra": {"plan": job.plan}}
        os.environ["AIRFLOW_CONN_BITRIX24_DEFAULT"] = json.dumps(portal)
        folder = Path(job.folder)
        if job.storage:
            extra = {"endpoint_url": f"http://127.0.0.1:{job.storage}", "region_name": "us-east-1"}
            store = {"conn_type": "aws", "login": "key", "password": "secret", "extra": extra}
            os.environ["AIRFLOW_CONN_AWS_DEFAULT"] = json.dumps(store)
            folder = as_folder("s3://aws_default@artifacts/run")
        address = urlsplit(job.url)
        self._portal = f"{address.scheme}://{address.netloc}"
        self._plan = folder / "plan"
        self._hash = self._written(job.ids)

    def _written(self, ids: Sequence[int]) -> str:
        told = requests.get(f"{self._portal}/__sandbox/links", params={"kind": "lead"}, timeout=120).json()
        with PlanWriter(self._plan) as plan:
            for one in ids:
                lead = Owner("lead", one)
                rows = [
                    [contact, sort, flag == "Y", role]
                    for contact, sort, flag, role in told[str(one)]["links"]
                ]
                plan.add(Change(LinkSet.from_json(lead, rows), LinkSet(lead), ("bench",), may_empty=True))
            about: dict[str, Any] = {"kind": "lead", "portal": self._portal, "created": "", "rules": ()}
            return plan.finish(read=len(ids), guards=Guards(), **about).hash

    def clear(self, ids: Sequence[int]) -> Told:
        """Apply the plan."""
        told: dict[str, Any] = {"plan": str(self._plan), "plan_hash": self._hash}
        apply = Bitrix24ApplyLinkPlanOperator(task_id="apply", is_dry_run=False, needs_approval=False, **told)
        counts = apply.execute({})["counts"]
        return dict.fromkeys(ids, True) if counts["applied"] == len(ids) else dict.fromkeys(ids, str(counts))

    def use_up(self, requests: int) -> None:
        """Make no requests."""

    def read(self, ids: Sequence[int]) -> Told:
        """Read nothing: there is nothing that clears."""
        raise NotImplementedError(ids)

    def write(self, wanted: Mapping[int, list[dict[str, Any]]]) -> Told:
        """Set nothing, likewise."""
        raise NotImplementedError(wanted)

    def scan(self, wanted: Mapping[str, Any], seen: Seen) -> None:
        """Go through nothing."""
        raise NotImplementedError(wanted, seen)

    def list(self, params: Mapping[str, Any], seen: Seen) -> None:
        """List nothing."""
        raise NotImplementedError(params, seen)

    def close(self) -> None:
        """Let go of nothing."""


if __name__ == "__main__":
    serve(Applies)

"""Runs on a cluster, and what they leave in the portal."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from redis import Redis

from scripts.airflow_api import AirflowError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from scripts.cluster_services import Services
    from scripts.local_cluster import LocalCluster
    from scripts.local_sandbox import LocalSandbox, Owners

CLEANUP, RESTORE = "bitrix24_lead_link_cleanup", "bitrix24_link_restore"

SAVED = 2
"""Objects of a journal by which a task is in the middle of its part: each tells of some sixty changes."""


@dataclass(frozen=True)
class Portal:
    """Airflow on several hosts, and the portal that they ask."""

    airflow: LocalCluster
    services: Services
    sandbox: LocalSandbox

    def run(self, dag_id: str, meanwhile: Callable[[str], None] = lambda _: None, **conf: Any) -> str:
        """Trigger a real run, approve its plan, and return its id once it ended in success.

        :param meanwhile: What happens while the plan is applied; called with the id.
        """
        self.airflow.wait_for_dag(dag_id)
        self.airflow.unpause(dag_id)
        run_id = self.airflow.trigger(dag_id, {"dry_run": False, "max_changes": 10_000, **conf})
        self.airflow.wait_for_question(dag_id, run_id)
        self.airflow.answer(dag_id, run_id, "approve", "Approve")
        meanwhile(run_id)
        assert self.airflow.wait_for_run(dag_id, run_id, timeout=240) == "success"
        return run_id

    def caught_writing(self, run_id: str, *, timeout: float = 120) -> Mapping[str, Any]:
        """Wait until two hosts apply a plan, one of them being in the middle of it, and give its task."""
        journal = f"artifacts/{CLEANUP}/{quote(run_id, safe='')}/plan/journal/"
        deadline = time.monotonic() + timeout
        while True:
            tasks = [task for task in self.tasks(CLEANUP, run_id, "apply") if task["state"] == "running"]
            saved = self.services.stored(journal)
            for task in tasks if len(tasks) > 1 else ():
                # They are numbered, and a later one may hold what stood in those before it, which go then.
                folder = f"part-{task['map_index']:05d}.jsonl.d/"
                numbers = [int(one.rpartition(folder)[2]) for one in saved if folder in one]
                if max(numbers, default=0) >= SAVED:
                    return task
            if time.monotonic() > deadline:
                raise AirflowError(f"after {timeout:.0f} s nobody was caught writing: {tasks}, {saved}")
            time.sleep(0.1)

    def tasks(self, dag_id: str, run_id: str, task_id: str) -> list[Mapping[str, Any]]:
        """Give the last tries of a task, one for each of its copies."""
        tasks = self.airflow.task_instances(dag_id, run_id)
        return [task for task in tasks if task["task_id"] == task_id]

    def leads(self) -> Owners:
        """Give all that is known of the leads."""
        return self.sandbox.owners("lead")

    def is_paced_by_redis(self) -> bool:
        """Whether Redis knows how full the portal's bucket is."""
        with Redis.from_url(self.services.redis(1)) as redis:
            address = self.sandbox.url.partition("://")[2].replace(":", "_")
            return any(redis.scan_iter(f"airflow-bitrix:{{{address}-*}}:level"))


def is_restored(was: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether a lead has its links back as exactly as methods can bring them: they take no roles.

    Nor do they take that flags and the scalar contact say different things. Of such a lead the contacts come
    back, in order.
    """
    flagged = [contact for contact, _sort, primary, _role in was["links"] if primary == "Y"]
    if was["links"] and flagged != [was["contact_id"]]:
        return [link[0] for link in now["links"]] == [link[0] for link in was["links"]]
    wanted = [[*link[:3], 0] for link in was["links"]]
    return (now["links"], now["contact_id"]) == (wanted, was["contact_id"])

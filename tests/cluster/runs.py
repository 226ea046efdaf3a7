"""Runs on a cluster, and what they leave in the portal."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from redis import Redis

from scripts.local_airflow import AirflowError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from scripts.cluster_services import Services
    from scripts.local_cluster import LocalCluster
    from scripts.local_sandbox import LocalSandbox, Owners

CLEANUP, RESTORE = "bitrix24_lead_link_cleanup", "bitrix24_link_restore"


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

    def applying(self, run_id: str, *, hosts: int, writes: int, timeout: float = 120) -> dict[str, int]:
        """Wait until so many hosts apply a plan and so much was written; give the part of each host."""
        written = self.sandbox.stats()["writes"]
        deadline = time.monotonic() + timeout
        while True:
            tasks = self.tasks(CLEANUP, run_id, "apply")
            found = {task["hostname"]: task["map_index"] for task in tasks if task["state"] == "running"}
            done = self.sandbox.stats()["writes"] - written
            if len(found) >= hosts and done >= writes:
                return found
            if time.monotonic() > deadline:
                raise AirflowError(f"after {timeout:.0f} s {done} writes, and apply runs on {found}: {tasks}")
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

"""A loop over ``HttpHook`` of Airflow's HTTP provider, as a DAG author writes it: one call for each owner.

Pacing there is none. What the portal does not refuse for good is repeated with growing waits, by the hook's
own means, and an error of one owner does not end the loop.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow.providers.http.hooks.http import HttpHook
from airflow.sdk.exceptions import AirflowException
from tenacity import retry_if_exception, stop_after_attempt, wait_exponential

from benchmarks.clients.runner import Job, Seen, Told, serve

RETRIES: dict[str, Any] = {
    "wait": wait_exponential(multiplier=0.5, max=8),
    "stop": stop_after_attempt(12),
    # The hook's errors begin with the HTTP status.
    "retry": retry_if_exception(lambda error: not str(error).startswith("4")),
    "reraise": True,
}


class Plain:
    """One request after the other, each with a session of its own, as the hook does it."""

    def __init__(self, job: Job) -> None:
        del job  # the connection comes from the environment
        self._hook = HttpHook(method="POST", http_conn_id="portal")

    def _call(self, method: str, params: Mapping[str, Any]) -> Any:
        response = self._hook.run_with_advanced_retry(RETRIES, endpoint=method, json=dict(params))
        return response.json()

    def use_up(self, requests: int) -> None:
        """Make cheap requests, one each."""
        for _ in range(requests):
            self._call("profile", {})

    def read(self, ids: Sequence[int]) -> Told:
        """Read the exact links of leads."""
        return self._each("items.get", {one: {"id": one} for one in ids})

    def write(self, wanted: Mapping[int, list[dict[str, Any]]]) -> Told:
        """Set the links of leads."""
        return self._each("items.set", {one: {"id": one, "items": items} for one, items in wanted.items()})

    def clear(self, ids: Sequence[int]) -> Told:
        """Remove all links of leads."""
        return self._each("items.delete", {one: {"id": one} for one in ids})

    def _each(self, verb: str, params: Mapping[int, dict[str, Any]]) -> Told:
        told: Told = {}
        for owner_id, sent in params.items():
            try:
                told[owner_id] = self._call(f"crm.lead.contact.{verb}", sent)["result"]
            except AirflowException as error:
                told[owner_id] = str(error)
        return told

    def scan(self, wanted: Mapping[str, Any], seen: Seen) -> None:
        """Go through the leads that a filter matches."""
        params: dict[str, Any] = {"entityTypeId": 1, "select": ["id", "contactId", "contactIds"]}
        params |= {"filter": dict(wanted)} if wanted else {}
        start: int | None = 0
        while start is not None:
            answer = self._call("crm.item.list", {**params, "order": {"id": "ASC"}, "start": start})
            for row in answer["result"]["items"]:
                seen.add(row["id"], row["contactIds"], row["contactId"])
            start = answer.get("next")

    def list(self, params: Mapping[str, Any], seen: Seen) -> None:
        """List all leads by the older method."""
        start: int | None = 0
        while start is not None:
            answer = self._call("crm.lead.list", {**params, "order": {"ID": "ASC"}, "start": start})
            for row in answer["result"]:
                seen.add_row(row)
            start = answer.get("next")

    def close(self) -> None:
        """Nothing to let go of."""


if __name__ == "__main__":
    serve(Plain)

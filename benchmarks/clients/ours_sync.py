"""The sync client of this project, as the hook builds it: one batch after the other, but for lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from airflow_bitrix.client.allowance import shared_allowance
from airflow_bitrix.client.deadlines import own_connections
from airflow_bitrix.client.flow import Manners
from airflow_bitrix.client.portal import Portal
from airflow_bitrix.client.transport import requests_transport
from airflow_bitrix.core import methods
from airflow_bitrix.hooks.settings import read_settings
from benchmarks.clients.runner import Job, Seen, Told, serve


class OursSync:
    """The sync client, without Airflow around it."""

    def __init__(self, job: Job) -> None:
        settings = read_settings(host="", login="", password=job.url, port=None, extra={"plan": job.plan})
        self._session = requests.Session()
        for adapter in self._session.adapters.values():
            if isinstance(adapter, HTTPAdapter):
                own_connections(adapter, settings.login, settings.in_flight, settings.proxy)
        allowance = shared_allowance(settings.bucket, settings.portal, Path(job.folder))
        send = requests_transport(self._session, settings.portal, settings.timeout)
        self._portal = Portal(send, Manners(allowance), settings.in_flight)

    def use_up(self, requests: int) -> None:
        """Make cheap requests, one each."""
        for _ in range(requests):
            self._portal.call("profile")

    def read(self, ids: Sequence[int]) -> Told:
        """Read the exact links of leads."""
        return self._run("items.get", {one: methods.items_get(one) for one in ids})

    def write(self, wanted: Mapping[int, list[dict[str, Any]]]) -> Told:
        """Set the links of leads."""
        return self._run("items.set", {one: methods.items_set(one, items) for one, items in wanted.items()})

    def clear(self, ids: Sequence[int]) -> Told:
        """Remove all links of leads."""
        return self._run("items.delete", {one: methods.items_delete(one) for one in ids})

    def _run(self, verb: methods.Verb, params: Mapping[int, dict[str, Any]]) -> Told:
        method = methods.name("lead", verb)
        outcomes = self._portal.batch([(method, sent) for sent in params.values()])
        told = [outcome.result if outcome.ok else str(outcome.error) for outcome in outcomes]
        return dict(zip(params, told, strict=True))

    def scan(self, wanted: Mapping[str, Any], seen: Seen) -> None:
        """Go through the leads that a filter matches."""
        params = {"entityTypeId": 1, "select": ["id", "contactId", "contactIds"], "filter": dict(wanted)}
        for row in self._portal.list("crm.item.list", params):
            seen.add(row["id"], row["contactIds"], row["contactId"])

    def list(self, params: Mapping[str, Any], seen: Seen) -> None:
        """List all leads by the older method."""
        for row in self._portal.list("crm.lead.list", params):
            seen.add_row(row)

    def close(self) -> None:
        """Let go of connections."""
        self._session.close()


if __name__ == "__main__":
    serve(OursSync)

"""The sync client of this project, as the hook builds it; it differs from the other one in its lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import requests

from airflow_bitrix.client.allowance import shared_allowance
from airflow_bitrix.client.flow import Manners
from airflow_bitrix.client.portal import Portal
from airflow_bitrix.client.transport import WebhookAuth, requests_transport
from airflow_bitrix.hooks.settings import read_settings
from benchmarks.clients.runner import Job, Seen, Told, serve


class OursSync:
    """The sync client, without Airflow around it."""

    def __init__(self, job: Job) -> None:
        settings = read_settings(host="", login="", password=job.url, port=None, extra={"plan": job.plan})
        self._session = requests.Session()
        self._session.auth = WebhookAuth(settings.webhook)
        allowance = shared_allowance(settings.bucket, settings.webhook.portal, Path(job.folder))
        send = requests_transport(self._session, settings.webhook.portal, settings.timeout)
        self._portal = Portal(send, Manners(allowance), settings.in_flight)

    def use_up(self, requests: int) -> None:
        """Make cheap requests, one each."""
        for _ in range(requests):
            self._portal.call("profile")

    def read(self, ids: Sequence[int]) -> Told:
        """Not asked of it, like the others but lists."""
        raise NotImplementedError

    def write(self, wanted: Mapping[int, list[dict[str, Any]]]) -> Told:
        """Set the links of leads."""
        raise NotImplementedError

    def clear(self, ids: Sequence[int]) -> Told:
        """Remove all links of leads."""
        raise NotImplementedError

    def scan(self, wanted: Mapping[str, Any], seen: Seen) -> None:
        """Go through the leads that a filter matches."""
        raise NotImplementedError

    def list(self, params: Mapping[str, Any], seen: Seen) -> None:
        """List all leads by the older method."""
        for row in self._portal.list("crm.lead.list", params):
            seen.add_row(row)

    def close(self) -> None:
        """Let go of connections."""
        self._session.close()


if __name__ == "__main__":
    serve(OursSync)

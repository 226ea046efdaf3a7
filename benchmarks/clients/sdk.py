"""b24pysdk, the official SDK: synchronous, https only, one request after the other.

It does not pace itself; it repeats an answer of 503, three times by default. Here it may repeat 30 times and
may wait 65 seconds for an answer. Scans use its fast list, which goes by id.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from b24pysdk import BitrixWebhook, Config  # type: ignore[import-not-found,import-untyped,unused-ignore]

from benchmarks.clients.runner import Job, Seen, Told, serve

TRIES = 30
TIMEOUT = 65


class Sdk:
    """The SDK's batches, through its webhook token."""

    def __init__(self, job: Job) -> None:
        address = urlsplit(job.url)
        Config().configure(default_max_retries=TRIES, default_timeout=TIMEOUT)
        self._token = BitrixWebhook(
            domain=address.netloc, webhook_token=address.path.removeprefix("/rest/").strip("/")
        )

    def use_up(self, requests: int) -> None:
        """Make cheap requests, one each."""
        for _ in range(requests):
            self._token.call_method("profile")

    def read(self, ids: Sequence[int]) -> Told:
        """Read the exact links of leads."""
        return self._batches("items.get", {owner_id: {"id": owner_id} for owner_id in ids})

    def write(self, wanted: Mapping[int, list[dict[str, Any]]]) -> Told:
        """Set the links of leads."""
        return self._batches("items.set", {one: {"id": one, "items": items} for one, items in wanted.items()})

    def clear(self, ids: Sequence[int]) -> Told:
        """Remove all links of leads."""
        return self._batches("items.delete", {owner_id: {"id": owner_id} for owner_id in ids})

    def _batches(self, verb: str, params: Mapping[int, dict[str, Any]]) -> Told:
        method = f"crm.lead.contact.{verb}"
        answer = self._token.call_batches({f"c{one}": (method, sent) for one, sent in params.items()})
        maps = answer["result"]
        done = {int(key[1:]): value for key, value in dict(maps["result"] or {}).items()}
        failed = dict(maps["result_error"] or {})
        return done | {int(key[1:]): str(error) for key, error in failed.items()}

    def scan(self, wanted: Mapping[str, Any], seen: Seen) -> None:
        """Go through the leads that a filter matches."""
        params: dict[str, Any] = {"entityTypeId": 1, "select": ["id", "contactId", "contactIds"]}
        if wanted:
            params["filter"] = dict(wanted)
        for row in self._token.call_list_fast("crm.item.list", params)["result"]:
            seen.add(row["id"], row["contactIds"], row["contactId"])

    def list(self, params: Mapping[str, Any], seen: Seen) -> None:
        """List all leads by the older method."""
        for row in self._token.call_list_fast("crm.lead.list", dict(params))["result"]:
            seen.add_row(row)

    def close(self) -> None:
        """Nothing to let go of: every request makes a connection of its own."""


if __name__ == "__main__":
    serve(Sdk)

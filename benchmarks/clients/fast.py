"""fast-bitrix24: asynchronous, batches of 50, its own throttle after 50 requests.

Exact reads go through ``get_by_ID``, as its documentation has it for contacts of deals; ``call`` would join
the rows of all owners into one list. A scan is its ``get_all``, which pages by offset.

Left to itself it sends 50 requests at once, is refused, and gives up within a second. So wherever there is a
bucket it runs in its ``slow`` mode with five requests at once, which is its strongest setting here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any

from fast_bitrix24 import BitrixAsync  # type: ignore[import-not-found,import-untyped,unused-ignore]

from benchmarks.clients.runner import Job, Seen, Told, serve

AT_ONCE = 5
_UNLIMITED = 1_000_000


class Fast:
    """The client with its progress bar off; where there is no bucket, its throttle is off, too."""

    def __init__(self, job: Job) -> None:
        self._loop = asyncio.Runner()
        limits: dict[str, Any] = {}
        if job.plan == "self_hosted":
            limits = {
                "respect_velocity_policy": False,
                "request_pool_size": _UNLIMITED,
                "requests_per_second": float(_UNLIMITED),
            }
        self._bitrix = BitrixAsync(job.url, verbose=False, **limits)
        self._plan = job.plan

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        if self._plan == "self_hosted":
            return self._loop.run(work)
        with self._bitrix.slow(AT_ONCE):
            return self._loop.run(work)

    def use_up(self, requests: int) -> None:
        """Make cheap requests, one each."""

        async def all_of_them() -> None:
            calls = (self._bitrix.call("profile", raw=True) for _ in range(requests))
            await asyncio.gather(*calls)

        self._run(all_of_them())

    def read(self, ids: Sequence[int]) -> Told:
        """Read the exact links of leads."""
        work = self._bitrix.get_by_ID("crm.lead.contact.items.get", list(ids), ID_field_name="id")
        found = self._run(work)
        if not isinstance(found, dict):  # the answers of a single command come without their owner
            return dict(zip(ids, [found], strict=False))
        return {int(key): rows for key, rows in found.items() if str(key).isdigit()}

    def write(self, wanted: Mapping[int, list[dict[str, Any]]]) -> Told:
        """Set the links of leads."""
        calls = [{"id": owner_id, "items": items} for owner_id, items in wanted.items()]
        return self._call("crm.lead.contact.items.set", calls)

    def clear(self, ids: Sequence[int]) -> Told:
        """Remove all links of leads."""
        return self._call("crm.lead.contact.items.delete", [{"id": owner_id} for owner_id in ids])

    def _call(self, method: str, calls: list[dict[str, Any]]) -> Told:
        told = self._run(self._bitrix.call(method, calls))
        return dict(zip([one["id"] for one in calls], told, strict=False))

    def scan(self, wanted: Mapping[str, Any], seen: Seen) -> None:
        """Go through the leads that a filter matches."""
        params: dict[str, Any] = {"entityTypeId": 1, "select": ["id", "contactId", "contactIds"]}
        if wanted:
            params["filter"] = dict(wanted)
        for row in self._run(self._bitrix.get_all("crm.item.list", params)):
            seen.add(row["id"], row["contactIds"], row["contactId"])

    def list(self, params: Mapping[str, Any], seen: Seen) -> None:
        """List all leads by the older method."""
        for row in self._run(self._bitrix.get_all("crm.lead.list", dict(params))):
            seen.add_row(row)

    def close(self) -> None:
        """Let go of connections: the library closes them itself."""
        self._loop.close()


if __name__ == "__main__":
    serve(Fast)

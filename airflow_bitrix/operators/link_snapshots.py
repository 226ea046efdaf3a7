"""Writing down which contacts hang on which leads or deals, without changing anything."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from airflow.providers.common.compat.sdk import Context

from airflow_bitrix.client.flow import Meter
from airflow_bitrix.client.progress import Progress
from airflow_bitrix.client.scan import Detail, check_filter, scan
from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.links import OwnerKind, owner_kind
from airflow_bitrix.files.snapshots import SnapshotWriter
from airflow_bitrix.hooks.failures import final_failures
from airflow_bitrix.operators.artifacts import as_folder, progress_teller, task_folder
from airflow_bitrix.operators.pipeline import LinkPlanOperator

__all__ = ["Bitrix24ExportContactLinksOperator"]


class Bitrix24ExportContactLinksOperator(LinkPlanOperator):
    """Scan leads or deals and write a snapshot of their contact links.

    Returns ``{"snapshot": folder, "owners": n, "links": n, "sha256": …, "requests": n, "hidden_links": n}``.
    The folder holds ``links.jsonl``, a line an owner, and ``manifest.json``. ``hidden_links`` counts owners
    whose links were read by ``items.get``, because the portal leaves them out of its lists.

    :param kind: ``lead`` or ``deal``. (templated)
    :param filter: A ``crm.item.list`` filter, camelCase names; ``None`` for all. An unknown field is refused.
        (templated)
    :param detail: ``ids`` for contacts, order and primary, 2,500 owners a request; ``full`` for sort and role
        too, which takes one command more for each owner with contacts. (templated)
    :param ordered: Whether lines are in order of id. Two snapshots can then be compared line by line.
    :raises InvalidInput: A parameter that cannot be right. Airflow does not retry it.
    """

    template_fields: Sequence[str] = (*LinkPlanOperator.template_fields, "kind", "filter", "detail")
    ui_color = "#e8e3f7"

    def __init__(
        self,
        *,
        kind: str = "lead",
        filter: Mapping[str, Any] | str | None = None,  # noqa: A002 (the portal's own word for it)
        detail: str = "ids",
        ordered: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.kind = kind
        self.filter = filter
        self.detail = detail
        self.ordered = ordered

    def work(self, context: Context, *, deferrals: int) -> dict[str, Any]:
        """Scan and write the snapshot."""
        if deferrals:
            self._wait_here()  # a scan begins anew after a deferral
        self.tell_progress = progress_teller(context)
        with final_failures():
            kind = owner_kind(self.kind)
            if self.detail not in ("ids", "full"):
                raise InvalidInput("detail", self.detail, "'ids' or 'full'")
            base = as_folder(self.artifacts_path) if self.artifacts_path else task_folder(context)
            folder = base / "snapshot"
            meter = Meter()
            about = asyncio.run(self._export(kind, folder, meter))
        self.log.info("Snapshot: %s", folder)
        told = {key: about[key] for key in ("owners", "links", "sha256")}
        self.log.info("%s owners with %s links", f"{about['owners']:,}", f"{about['links']:,}")
        hidden = {"hidden_links": meter.hidden_links}
        return {"snapshot": str(folder), **told, "requests": meter.requests, **hidden}

    async def _export(self, kind: OwnerKind, folder: Path, meter: Meter) -> dict[str, Any]:
        async with self.hook.portal(meter) as portal:
            wanted = self.filter if self.filter is not None else {}
            await check_filter(portal, kind, cast("Mapping[str, Any]", wanted))
            progress = Progress(self.log, f"{kind}s read", meter, tell=self.tell_progress)
            detail = cast("Detail", self.detail)
            with SnapshotWriter(folder) as snapshot:
                found = scan(
                    portal,
                    kind,
                    cast("Mapping[str, Any]", wanted),
                    detail=detail,
                    ordered=self.ordered,
                    expect=progress.expect,
                )
                async for state in found:
                    snapshot.add(state.links)
                    progress.add(1)
                about = snapshot.finish(
                    kind=kind,
                    portal=self.settings.webhook.portal,
                    created=datetime.now(UTC).isoformat(timespec="seconds"),
                    detail=detail,
                    hidden_links=meter.hidden_links,
                )
        progress.say()
        return about

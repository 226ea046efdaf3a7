"""Writing down which contacts hang on which owners, without changing anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Unpack, cast

from airflow.sdk import Context

from airflow_bitrix.assets.portals import links_seen
from airflow_bitrix.client.flow import Meter
from airflow_bitrix.client.progress import Progress
from airflow_bitrix.core.differences import differences
from airflow_bitrix.core.errors import InvalidInput, PlanRefused
from airflow_bitrix.core.kind_words import kind_words, links_told, owners, owners_of, read_words
from airflow_bitrix.core.languages import gettext, ngettext, number
from airflow_bitrix.core.links import OwnerKind, entity_kind
from airflow_bitrix.crm.filter_checks import check_form, checked_filter
from airflow_bitrix.crm.scan import Detail, scan
from airflow_bitrix.files.own_files import write_new
from airflow_bitrix.files.partial_views import write_partial
from airflow_bitrix.files.snapshot_changes import (
    CHANGED,
    ChangedFile,
    SnapshotChanges,
    write_snapshot_changes,
)
from airflow_bitrix.files.snapshot_history import SnapshotHistory, delete_snapshot, same_snapshot
from airflow_bitrix.files.snapshots import (
    Snapshot,
    SnapshotWriter,
    free_folder,
    read_snapshot,
    why_not_comparable,
)
from airflow_bitrix.hooks.failures import final_failures
from airflow_bitrix.operators.shared.artifacts import as_folder, given_folder, lasting_file, task_folder
from airflow_bitrix.operators.shared.asset_events import tell_changed, with_aliases
from airflow_bitrix.operators.shared.constants import check_constants
from airflow_bitrix.operators.shared.lineage import file_of, lineage, links_of
from airflow_bitrix.operators.shared.other_hosts import this_host
from airflow_bitrix.operators.shared.parameters import is_nothing, is_open, optional_count, switch
from airflow_bitrix.operators.shared.pipeline import LinkPlanOperator
from airflow_bitrix.operators.shared.task_arguments import PipelineArguments
from airflow_bitrix.report.changes import Changes, as_page, counted, figures, gather, nothing_to_compare

__all__ = ["Bitrix24ExportContactLinksOperator"]


CHANGES = "changes.html"

PREVIOUS = "previous"

OFFERED = 7
"""Earlier snapshots that a report offers to bring links back to."""


class Bitrix24ExportContactLinksOperator(LinkPlanOperator):
    """Scan owners, write a snapshot of their contact links, and tell what changed since another one.

    The portal tells nobody when links change, so two snapshots are the only way to see it.

    Returns ``{"snapshot": folder, "host": name, "owners": n, "links": n, "sha256": …, "requests": n,
    "hidden_links": n, "partial": […]}``. The folder holds ``links.jsonl``, a line an owner, and
    ``manifest.json``. ``hidden_links`` counts owners whose links were read by ``items.get``, because the
    portal leaves them out of its lists. A whole snapshot is never written over: where one lies already,
    the next one gets a folder with a number. ``partial`` says why it may be about a part of the portal
    only, as where the webhook's user is no administrator: such a snapshot is marked, and compared with
    those of the same user alone.

    With ``compare_with`` it returns ``{"compared_with": folder or None, "remark": text,
    "changed_owners": n, "changes": {what: n}, "changed_csv": path, "report": path, "deleted": n}`` too; see
    :class:`~airflow_bitrix.core.differences.Difference` for the kinds of change. ``changed.csv`` holds each
    difference with both sides, ``changes.html`` the figures and the first of them.

    Where a contact is named in what changed, an event of the asset ``bitrix24://<portal>/<kind>/contact-links``
    tells so, by the alias ``bitrix24_<kind>_links_seen``, with these figures and paths in its extra.

    :param kind: Of the owners: ``lead``, ``deal``, ``quote``, ``company``, ``smart_invoice``, or
        ``dynamic_1036`` for the smart process 1036. (templated)
    :param filter: A ``crm.item.list`` filter, camelCase names; ``None`` for all. An unknown field is refused.
        (templated)
    :param detail: ``ids`` for contacts, order and primary, 2,500 owners a request; ``full`` for sort and role
        too, which takes one command more for each owner with contacts. (templated)
    :param ordered: Whether lines are in order of id. Two snapshots can then be compared line by line.
    :param compare_with: ``"previous"`` for the last whole snapshot of this task, for the same kind and
        portal; or the folder of a snapshot; ``None`` to compare with nothing. (templated)
    :param keep: How many snapshots of this task to keep, 1 or more; older ones are deleted once a new one is
        whole and compared. What they reported stays. ``None`` keeps all; with ``"previous"`` only.
        (templated)
    :raises InvalidInput: A parameter that cannot be right. Airflow does not retry it.
    :raises PlanRefused: The snapshot to compare with is damaged, or of another portal, kind, filter or view.
    """

    template_fields: Sequence[str] = (
        *LinkPlanOperator.template_fields,
        "kind",
        "filter",
        "detail",
        "compare_with",
        "keep",
    )
    ui_color = "#e8e3f7"

    def __init__(
        self,
        *,
        kind: str = "lead",
        filter: Mapping[str, Any] | str | None = None,  # noqa: A002 (the portal's own word for it)
        detail: str = "ids",
        ordered: bool = True,
        compare_with: str | None = None,
        keep: int | str | None = None,
        **kwargs: Unpack[PipelineArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.outlets = with_aliases(self.outlets, links_seen)
        self.kind = kind
        self.filter = filter
        self.detail = detail
        self.ordered = switch("ordered", ordered)
        self.compare_with = compare_with
        self.keep = keep
        check_constants(
            self,
            ("kind", self._kind),
            ("detail", self._detail),
            ("filter", self._wanted),
            ("compare_with keep", self._keep),
        )

    def work(self, context: Context, *, deferrals: int) -> dict[str, Any]:
        """Scan, write the snapshot, and compare it."""
        if deferrals:
            self._wait_here()  # a scan begins anew after a deferral
        self.begin(context)
        with final_failures():
            kind = self._kind()
            self._detail()
            self._wanted()
            keep, earlier, history = self._keep(), self._earlier(kind), self._history(context, kind)
            base = self.own_folder or task_folder(context)
            folder = free_folder(base)
            meter = Meter()
            about = self.run_loop(self._export(kind, folder, earlier, meter))
            write_partial(base, self.seen_partially)
            self.log.info("%s", gettext("Snapshot: {folder}", folder=folder))
            if not about["owners"]:
                self.log.warning(
                    "%s",
                    gettext(
                        "No {kind} is in the snapshot: none matches the filter, or there is none",
                        **kind_words(kind),
                    ),
                )
            links = links_told(kind, about["links"])
            self.log.info("%s, %s", owners(kind, about["owners"]), links)
            told = {key: about[key] for key in ("owners", "links", "sha256")}
            result = {"snapshot": str(folder), "host": this_host(), **told, "requests": meter.requests}
            result |= {"hidden_links": meter.hidden_links, "partial": list(self.seen_partially)}
            read = links_of(self.settings.portal, kind, about["owners"])
            self.lineage = lineage([read], [file_of(folder, about["owners"])])
            if is_nothing(self.compare_with):
                return result
            new = read_snapshot(folder)
            changes = self._compare(earlier, new, history, base / CHANGED)
            page = as_page(changes, requests=meter.requests)
            write_new(base / CHANGES, page)
            since = changes.old.created if changes.old else ""
            before = tuple(_before(new, changes.old, history))
            write_snapshot_changes(base, SnapshotChanges(since, changes.remark, before))
            deleted = 0
            if history is not None:
                history.add(new)
                gone = history.forget_all_but(keep) if keep else []
                deleted = sum(delete_snapshot(as_folder(one)) for one in gone)
        self._tell(changes, base, deleted)
        paths = {"changed_csv": str(base / CHANGED), "report": str(base / CHANGES)}
        if changes.about_links:
            told = {"by": "snapshot", "kind": kind, "snapshot": str(folder), **figures(changes), **paths}
            tell_changed(context, links_seen, new.portal, kind, told)
        return {**result, **figures(changes), **paths, "deleted": deleted}

    def _kind(self) -> OwnerKind:
        return entity_kind(self.kind)

    def _keep(self) -> int | None:
        keep = optional_count("keep", self.keep)
        if keep == 0:
            raise InvalidInput("keep", keep, gettext("1 or more, or None to keep all"))
        if keep is not None and self.compare_with != PREVIOUS:
            raise InvalidInput(
                "keep", keep, gettext("nothing, unless compare_with is {previous}", previous=repr(PREVIOUS))
            )
        return keep

    def _earlier(self, kind: OwnerKind) -> Snapshot | None:
        """Read the snapshot that was named, before the portal is asked for anything."""
        if is_nothing(self.compare_with):
            return None
        if not isinstance(self.compare_with, str):
            raise InvalidInput(
                "compare_with",
                self.compare_with,
                gettext("{previous}, or the folder of a snapshot", previous=repr(PREVIOUS)),
            )
        if not self.ordered:
            raise InvalidInput("ordered", self.ordered, gettext("True, where compare_with is given"))
        if self.compare_with == PREVIOUS:
            return None
        earlier = read_snapshot(given_folder("compare_with", self.compare_with))
        earlier.check()
        self._check_comparable(earlier, kind)
        return earlier

    def _check_comparable(self, earlier: Snapshot, kind: OwnerKind, view: str | None = None) -> None:
        portal, wanted = self.settings.portal, self._wanted()
        if why_not := why_not_comparable(earlier, kind=kind, portal=portal, wanted=wanted, view=view):
            raise PlanRefused(
                gettext(
                    "the snapshot in {folder} cannot be compared: {why_not}",
                    folder=earlier.folder,
                    why_not=why_not,
                )
            )

    def _history(self, context: Context, kind: OwnerKind) -> SnapshotHistory | None:
        if self.compare_with != PREVIOUS:
            return None
        return SnapshotHistory(lasting_file(context, kind, self.settings.portal))

    def _compare(
        self, earlier: Snapshot | None, new: Snapshot, history: SnapshotHistory | None, path: Path
    ) -> Changes:
        remark = ""
        if history is not None:
            earlier, remark = self._last_of(history, new)
        with ChangedFile(path, new.portal) as file:
            if earlier is None:
                return nothing_to_compare(new, remark)
            found = differences(earlier.link_sets(), new.link_sets())
            return gather(earlier, new, found, file.add, remark=remark)

    def _last_of(self, history: SnapshotHistory, new: Snapshot) -> tuple[Snapshot | None, str]:
        """Give the last snapshot that is whole and comparable, and what is to be said about later ones."""
        reasons: list[str] = []
        found: Snapshot | None = None
        for folder, sha256 in history.newest_first():
            try:
                found = same_snapshot(as_folder(folder), sha256)
            except PlanRefused as error:
                reason = str(error)
            else:
                why_not = _why_not(found, new)
                if not why_not:
                    break
                reason, found = (
                    gettext(
                        "the snapshot in {folder} cannot be compared: {why_not}",
                        folder=folder,
                        why_not=why_not,
                    ),
                    None,
                )
            reasons.append(reason)
        if not reasons and found is None:
            return None, gettext("This is the first snapshot of this task.")
        for reason in reasons:
            self.log.warning("%s", gettext("Passed over: {reason}", reason=reason))
        return found, "".join(
            gettext("Passed over: {reason}. ", reason=reason) for reason in reasons[:3]
        ).strip()

    def _tell(self, changes: Changes, base: Path, deleted: int) -> None:
        if changes.old is None:
            self.log.info("%s", gettext("Nothing to compare with: {remark}", remark=changes.remark))
        else:
            self.log.info(
                "%s",
                gettext(
                    "Compared with the snapshot of {created}: {folder}",
                    created=changes.old.created,
                    folder=changes.old.folder,
                ),
            )
            kind = changes.new.kind
            if changes.owners:
                found = owners_of(kind, changes.owners)
                said = gettext("Since then the links of {owners} have changed", owners=found)
            else:
                said = gettext("Since then the links of no {kind_of} have changed", **kind_words(kind))
            self.log.info("%s", said)
            for what, count, meaning in counted(changes):
                if count:
                    self.log.info("%s %s (%s)", number(count), what, meaning)
        if deleted:
            said = ngettext("{count} older snapshot deleted", "{count} older snapshots deleted", deleted)
            self.log.info("%s", said)
        self.log_place(gettext("Report"), base / CHANGES)

    def _wanted(self) -> Mapping[str, Any]:
        wanted = cast("Mapping[str, Any]", {} if is_open(self.filter) else self.filter)
        check_form(wanted)
        return wanted

    def _detail(self) -> Detail:
        if self.detail not in ("ids", "full"):
            raise InvalidInput("detail", self.detail, gettext("'ids' or 'full'"))
        return cast("Detail", self.detail)

    async def _export(
        self, kind: OwnerKind, folder: Path, earlier: Snapshot | None, meter: Meter
    ) -> dict[str, Any]:
        async with self.hook.portal(meter) as portal:
            wanted = await checked_filter(portal, kind, self._wanted())
            view = await self.look_who_sees(portal)
            if earlier:
                self._check_comparable(earlier, kind, view.name)
            progress = Progress(self.log, read_words(kind), meter, tell=self.tell_progress)
            detail = self._detail()
            with SnapshotWriter(folder) as snapshot:
                found = scan(
                    portal,
                    kind,
                    wanted,
                    detail=detail,
                    ordered=self.ordered,
                    expect=progress.expect,
                )
                async for state in found:
                    snapshot.add(state.links)
                    progress.add(1)
                about = snapshot.finish(
                    kind=kind,
                    portal=self.settings.portal,
                    created=datetime.now(UTC).isoformat(timespec="seconds"),
                    detail=detail,
                    hidden_links=meter.hidden_links,
                    wanted=self._wanted(),
                    view=view.name,
                    partial=view.partial,
                )
        progress.say()
        return about


def _why_not(old: Snapshot, new: Snapshot) -> str:
    return why_not_comparable(old, kind=new.kind, portal=new.portal, wanted=new.filter, view=new.view)


def _before(
    new: Snapshot, old: Snapshot | None, history: SnapshotHistory | None
) -> Iterator[tuple[str, str]]:
    """Give when earlier snapshots were made, and where they lie: that compared with, then those before it."""
    if old is None:
        return
    yield old.created, str(old.folder)
    folders = [folder for folder, _ in history.newest_first()] if history else []
    before = folders[folders.index(str(old.folder)) + 1 :] if history else []
    for folder in before[: OFFERED - 1]:
        with suppress(PlanRefused):
            found = read_snapshot(as_folder(folder))
            if not _why_not(found, new):
                yield found.created, folder

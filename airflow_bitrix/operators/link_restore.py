"""Planning a restore: links as a journal or a snapshot holds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any, Unpack

from airflow.sdk import Context

from airflow_bitrix.client.portal import AsyncPortal
from airflow_bitrix.client.progress import Progress
from airflow_bitrix.compat import AirflowSkipException
from airflow_bitrix.core.errors import InvalidInput, PlanRefused
from airflow_bitrix.core.families import LinkedKind, family_of
from airflow_bitrix.core.kind_words import linked_named, named
from airflow_bitrix.core.languages import gettext, gettext_noop
from airflow_bitrix.core.links import Owner, OwnerKind, positive_id
from airflow_bitrix.core.owner_states import OwnerState
from airflow_bitrix.core.plan import Change
from airflow_bitrix.core.restores import (
    RULE,
    Image,
    Origin,
    judge_restore,
    linked_anew,
    needs_exact,
    recovery,
)
from airflow_bitrix.core.wording import as_rendered
from airflow_bitrix.crm.contacts import missing_records
from airflow_bitrix.crm.scan import ask_links, scan_ids
from airflow_bitrix.files.owner_lists import read_owner_ids
from airflow_bitrix.files.plans import PlanWriter
from airflow_bitrix.files.restores import JournalSource, Source
from airflow_bitrix.hooks.failures import final_failures
from airflow_bitrix.operators.shared.artifacts import named_file
from airflow_bitrix.operators.shared.constants import check_constants
from airflow_bitrix.operators.shared.parameters import is_open, switch
from airflow_bitrix.operators.shared.plan_maker import LinkPlanMaker
from airflow_bitrix.operators.shared.restore_sources import (
    check_one,
    is_about_several,
    kind_asked,
    read_source,
)
from airflow_bitrix.operators.shared.task_arguments import PlanArguments
from airflow_bitrix.report.texts import origin_line, taken_back_line

SWITCHES = ("overwrite", "link_missing", "believe_any_user", "save")

STRETCH = 2500
"""Owners that are looked at in one go: what one request tells."""


class Bitrix24PlanLinkRestoreOperator(LinkPlanMaker):
    """Write the plan that takes an apply back, or that brings links back to a snapshot. Changes nothing.

    What it returns is told at :class:`~airflow_bitrix.operators.shared.plan_maker.LinkPlanMaker`. Contacts,
    order, sorts and primary become what they were. Each owner is looked at as it is now; those that are as
    they were need no change, and ``left_out.csv`` names them with the reason, as it does owners that are no
    longer there, and those that somebody changed since the apply. From a journal, every owner is brought
    back that its apply wrote or may have written. From a snapshot, every owner in it that differs now is,
    whoever changed it: narrow it with ``owners``, and guard it with ``max_changes``.

    What a portal cannot be brought back to is said in the change's reasons: it always makes one contact the
    primary, gives sorts of its own in place of 0, and takes no roles. Contacts that no longer exist are not
    linked again, though an administrator's webhook could: the others keep their order.

    A company that the apply took off comes back from a journal, unless it no longer exists. Only a save gives
    it back, which starts the portal's automation; the plan says so of each. Snapshots hold no companies.

    What an earlier restore of the same apply left is no stranger's change: such an owner is brought nearer,
    or named with that restore and with what the portal cannot be brought back to. An apply of the plan leaves
    a note beside the run that it takes back, whose report tells of it then. A run that wrote nothing, as a
    dry run or a rejected plan, is refused.

    A plan made again in the same folder moves the run before it aside, to ``earlier-<hash>``. The newest run
    is taken back then; the log and ``earlier`` in what is returned name the folders of those before it. Each
    is taken back by a restore of its own, the newest first.

    :param journal: What the apply or the check operator returned, or the folder of its run (which holds
        ``plan`` and ``journal``: ``<root>/<dag id>/<run id>/<plan task>``), or the folder of the journal.
        Also the address of the run's page in Airflow, or its folder ``<root>/<dag id>/<run id>``, where one
        task of it alone has plan and journal. (templated)
    :param snapshot: What the export operator returned, or the folder of a snapshot; or the address or
        folder of a run, where one task of it alone has made one. One of the two is needed. (templated)
    :param plan: Folder of the plan that was applied; ``None`` for the one that an operator's result names, or
        that lies beside the journal. (templated)
    :param kind: The kind of owners to bring back, of a run that was about several; ``dynamic`` for whichever
        smart process. Where there is nothing about such owners the task is skipped. ``None`` for the only
        kind that there is. (templated)
    :param owners: Ids of the only owners to bring back; ``None`` for all. (templated)
    :param owners_file: A file of such ids instead, as
        :func:`~airflow_bitrix.files.owner_lists.read_owner_ids` reads it; ``None`` for no file. (templated)
    :param overwrite: Also take away what somebody changed since the apply. (templated)
    :param link_missing: Also link contacts that no longer exist, or that the webhook's user may not read:
        for links that hung on no contact before, too. Likewise companies. (templated)
    :param believe_any_user: Whether to believe a user who is no administrator, and take contacts that it does
        not see for gone. Else owners that had such contacts are left out. (templated)
    :param save: Save each owner after its links, so that the repeat flag follows. By default the flag stays
        as it is until somebody saves the lead. A save starts the portal's automation. A lead that has
        contacts again becomes a repeat lead by it: the portal hides its own name, phones and e-mails, and may
        merge them into its primary contact or its company, which no restore takes back. An owner whose
        company comes back is saved in any case. (templated)
    :raises InvalidInput: A parameter that cannot be right. Airflow does not retry it.
    :raises PlanRefused: Journal, plan or snapshot is damaged, unfinished or of another portal; nothing was
        sent. Airflow does not retry it.
    """

    template_fields: Sequence[str] = (
        *LinkPlanMaker.template_fields,
        "journal",
        "snapshot",
        "plan",
        "kind",
        "owners",
        "owners_file",
        "overwrite",
        "link_missing",
        "believe_any_user",
        "save",
    )
    ui_color = "#f7e6d3"

    def __init__(
        self,
        *,
        journal: Mapping[str, Any] | str | None = None,
        snapshot: Mapping[str, Any] | str | None = None,
        plan: str | None = None,
        kind: str | None = None,
        owners: Sequence[int] | str | None = None,
        owners_file: str | None = None,
        overwrite: bool | str = False,
        link_missing: bool | str = False,
        believe_any_user: bool | str = False,
        save: bool | str = False,
        **kwargs: Unpack[PlanArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.journal = journal
        self.snapshot = snapshot
        self.plan = plan
        self.kind = kind
        self.owners = owners
        self.owners_file = owners_file
        self.overwrite = overwrite
        self.link_missing = link_missing
        self.believe_any_user = believe_any_user
        self.save = save
        check_constants(
            self,
            ("journal snapshot", lambda: check_one(self.journal, self.snapshot)),
            ("kind", lambda: kind_asked(self.kind)),
            ("owners owners_file", self._ids),
            *((name, partial(self._is_on, name)) for name in SWITCHES),
        )

    def work(self, context: Context, *, deferrals: int) -> dict[str, Any]:
        """Make the plan, and name the runs that it does not take back."""
        with final_failures():
            source = self._source()
            self.log.info("%s", origin_line(source.origin))
            for note in source.taken_back:
                self.log.warning("%s", taken_back_line(note))
        told = super().work(context, deferrals=deferrals)
        earlier = [str(run) for run in source.earlier]
        for run in earlier:
            self.log.warning(
                "%s", gettext("Not taken back by this plan, as it is an earlier run: {run}", run=run)
            )
        return {**told, "earlier": earlier}

    def plan_origin(self) -> Origin:
        """Give the run, or the snapshot, that the plan goes back to."""
        return self._source().origin

    def plan_kind(self) -> OwnerKind:
        """Give the kind of owners that the journal or snapshot is about."""
        return self._source().kind

    def plan_rules(self) -> tuple[str, ...]:
        """Check all that the plan goes by, the whole journal or snapshot included."""
        source = self._source()
        portal = self.settings.portal
        if source.portal != portal:
            raise PlanRefused(gettext(_OF_ANOTHER[source.name], portal=source.portal, other=portal))
        for argument in SWITCHES:
            self._is_on(argument)
        self._only(source.kind)
        source.check()
        return (RULE,)

    def _is_on(self, argument: str) -> bool:
        return switch(argument, getattr(self, argument))

    def _source(self) -> Source:
        kind = kind_asked(self.kind)
        source = read_source(self.journal, self.snapshot, plan=self.plan, kind=kind)
        if source is None:
            raise AirflowSkipException(
                gettext("there is nothing about such owners to bring back: {kind}", kind=kind)
            )
        if isinstance(source, JournalSource) and self.own_folder and self.own_folder / "plan" == source.plan:
            another = gettext("another folder: the plan that is taken back lies in this one")
            raise InvalidInput("artifacts_path", self.artifacts_path, another)
        return source

    def _ids(self) -> frozenset[int]:
        """Give the ids that are named one by one; none where all are meant, or those in a file."""
        if is_open(self.owners):
            return frozenset()
        given: Any = self.owners
        if isinstance(given, str) or not isinstance(given, Sequence) or not given:
            # A task that found nobody does not ask for all of them.
            accepted = gettext(
                "a list of ids, such as [5, 17], or None for all{hint}", hint=as_rendered(given)
            )
            raise InvalidInput("owners", given, accepted)
        if self._has_file():
            raise InvalidInput("owners", list(given), gettext("nothing, where owners_file is given"))
        return frozenset(positive_id("owners", one) for one in given)

    def _has_file(self) -> bool:
        return not is_open(self.owners_file)

    def _only(self, kind: OwnerKind) -> frozenset[int] | None:
        """Give the ids that the plan is narrowed to, ``None`` for all."""
        ids = self._ids()
        if (
            (ids or self._has_file())
            and kind_asked(self.kind)
            and is_about_several(self.journal, self.snapshot)
        ):
            named = "owners_file" if self._has_file() else "owners"
            accepted = gettext(
                "nothing, as the run was about several kinds; to narrow it down, give the folder of one of "
                "them"
            )
            raise InvalidInput(named, getattr(self, named), accepted)
        if self._has_file():
            return frozenset(read_owner_ids(named_file("owners_file", self.owners_file), kind))
        return ids or None

    async def fill(self, plan: PlanWriter, portal: AsyncPortal, progress: Progress) -> None:
        """Look at the owners as they are, and plan what brings them back."""
        source = self._source()
        only = self._only(source.kind)
        await self.look_who_sees(portal)
        wanted = (image for image in source.images() if only is None or image.links.owner.id in only)
        seen: set[int] = set()
        while stretch := list(islice(wanted, STRETCH)):
            await self._judge(stretch, plan, portal)
            progress.add(len(stretch))
            if only is not None:
                seen.update(image.links.owner.id for image in stretch)
        for owner_id in sorted((only or frozenset()) - seen):
            owner = Owner(source.kind, owner_id)
            plan.leave_out(
                owner,
                _NOT_IN[source.name],
                gettext(_HOLDS_NONE[source.name], owner=named(owner)),
            )

    async def _judge(self, images: Sequence[Image], plan: PlanWriter, portal: AsyncPortal) -> None:
        states = await _states(portal, images)
        new = {
            one
            for image in images
            if (now := states.get(image.links.owner.id))
            for one in linked_anew(image, now)
        }
        may_dangle = self._is_on("link_missing")
        linked = family_of(images[0].links.owner.kind).linked
        missing = set() if may_dangle else await missing_records(portal, linked, new)
        gone_companies = set() if may_dangle else await _gone_companies(portal, images, states)
        is_doubtful = self.seen_partially and not self._is_on("believe_any_user")
        unseen, unseen_companies = (missing, gone_companies) if is_doubtful else (set(), set())
        overwrite, save = self._is_on("overwrite"), self._is_on("save")
        for image in images:
            owner = image.links.owner
            now = states.get(owner.id)
            if now is None:
                plan.leave_out(
                    owner,
                    gettext_noop("no longer there"),
                    gettext("{owner} is gone, or the webhook's user may not read it", owner=named(owner)),
                )
                continue
            if hidden := sorted(linked_anew(image, now) & unseen):
                plan.leave_out(owner, _NOT_SEEN[linked], _hidden(owner.kind, hidden))
                continue
            if (company := image.company_for(now)) in unseen_companies:
                plan.leave_out(owner, gettext_noop("company not seen"), _unseen_company(company))
                continue
            verdict = judge_restore(
                image, now, missing=missing, overwrite=overwrite, save=save, no_companies=gone_companies
            )
            plan.recover(recovery(image, now, verdict))
            if isinstance(verdict, Change):
                plan.add(replace(verdict, may_dangle=may_dangle))
            else:
                plan.leave_out(owner, verdict.why, verdict.reason)


async def _gone_companies(
    portal: AsyncPortal, images: Sequence[Image], states: Mapping[int, OwnerState]
) -> set[int]:
    """Give those of the companies that owners are to get back that there are no more."""
    told = (image.company_for(now) for image in images if (now := states.get(image.links.owner.id)))
    wanted = {company for company in told if company}
    return await missing_records(portal, "company", sorted(wanted)) if wanted else set()


_OF_ANOTHER = {
    "journal": gettext_noop("the journal is of {portal}, the connection leads to {other}"),
    "snapshot": gettext_noop("the snapshot is of {portal}, the connection leads to {other}"),
}

_NOT_IN = {
    "journal": gettext_noop("not in the journal"),
    "snapshot": gettext_noop("not in the snapshot"),
}

_HOLDS_NONE = {
    "journal": gettext_noop("the journal holds no links of {owner}"),
    "snapshot": gettext_noop("the snapshot holds no links of {owner}"),
}


_NOT_SEEN: Mapping[LinkedKind, str] = {
    "contact": gettext_noop("contacts not seen"),
    "company": gettext_noop("companies not seen"),
}


def _hidden(kind: OwnerKind, linked_ids: Sequence[int]) -> str:
    return gettext(
        "{linked} may be gone, or not be seen by the webhook's user; {unless}",
        linked=linked_named(kind, linked_ids),
        unless=gettext(_UNLESS),
    )


def _unseen_company(company_id: int | None) -> str:
    return gettext(
        "company {company} may be gone, or not be seen by the webhook's user; {unless}",
        company=str(company_id),
        unless=gettext(_UNLESS),
    )


_UNLESS = gettext_noop("believe_any_user=True (in the trigger form: Take unseen contacts for gone) says gone")


async def _states(portal: AsyncPortal, images: Sequence[Image]) -> dict[int, OwnerState]:
    """Look at owners: 50 a command, and one command more for each whose sorts are needed."""
    kind = images[0].links.owner.kind
    by_id = {image.links.owner.id: image for image in images}
    states = [state async for state in scan_ids(portal, kind, list(by_id))]
    inexact = [state for state in states if needs_exact(by_id[state.owner.id], state)]
    exact = await ask_links(portal, inexact, full=True)
    return {state.owner.id: state for state in (*states, *exact)}

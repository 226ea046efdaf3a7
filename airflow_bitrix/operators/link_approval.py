"""Letting a person approve a plan, in Airflow's own form, before anything of it is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Unpack, cast

from airflow.providers.standard.exceptions import HITLRejectException
from airflow.sdk import Context
from airflow.sdk.bases.notifier import BaseNotifier
from msgspec import structs

from airflow_bitrix.compat import AirflowFailException, AirflowSkipException, ApprovalOperator, conf
from airflow_bitrix.core.errors import InvalidInput, PlanRefused
from airflow_bitrix.core.languages import gettext, ngettext
from airflow_bitrix.core.names import OwnerNames
from airflow_bitrix.core.timestamps import shown_timestamp
from airflow_bitrix.core.wording import listed
from airflow_bitrix.files.approvals import Approval, Unasked
from airflow_bitrix.files.plans import Manifest, check_parts
from airflow_bitrix.hooks.failures import final_failures, says_why
from airflow_bitrix.hooks.opening import opened_async
from airflow_bitrix.notifications.telling import Telling
from airflow_bitrix.operators.shared.constants import check_constants
from airflow_bitrix.operators.shared.decisions import (
    asker_of,
    check_other_tasks,
    decide,
    decision_in_run,
)
from airflow_bitrix.operators.shared.handed_plans import TakesPlan, named_plan
from airflow_bitrix.operators.shared.names import read_shown, shows_names
from airflow_bitrix.operators.shared.parameters import (
    count,
    hours,
    is_nothing,
    optional_count,
    optional_share,
    switch,
    wait,
)
from airflow_bitrix.operators.shared.plan_words import meaning_of_answers
from airflow_bitrix.operators.shared.questions import (
    Asked,
    Question,
    check_as_shown,
    moment,
    report_link,
    who_answered,
)
from airflow_bitrix.operators.shared.shown_limits import CALLED, as_shown, quiet_of
from airflow_bitrix.operators.shared.task_arguments import ApprovalArguments, PlanGiven
from airflow_bitrix.report.approval import Digest, ShownPlan, headline, pages, plan_digest
from airflow_bitrix.report.messages import Told, asks, rejected
from airflow_bitrix.report.texts import no_match

MODES = ("always", "over_limit", "never")

DEADLINE = timedelta(hours=72)
"""How long an answer is awaited where neither the task nor the configuration says otherwise."""


class Bitrix24ApproveLinkPlanOperator(TakesPlan, ApprovalOperator):
    """Show a plan to a person, and go on only where that person approves it.

    The task waits under *Required actions* in the Airflow UI, without holding a worker slot. It shows counts
    by rule, who is left out and why, the largest changes and samples. The plan is read before it is shown and
    again after it was approved: both times it must be one that this DAG run made, and what is approved is the
    plan that was shown, and no other.

    The decision is kept beside the plan, in ``approval.json``; that, and nothing that a task returns, is
    what an apply goes by. Where it cannot be kept the task fails.

    Returns the plan's dict with ``"approval": {"mode": …, "by": …, "at": …, "valid_until": …}``, which an
    apply takes as its plan. After *Reject* what follows is skipped; where nothing does, it returns the
    approval alone, and no plan.

    With a list of plans there is one question about all of them, and its answer counts for each; those that
    change nothing need none. All that is said of a plan here is said of each: where one of them is not as it
    was shown, nothing is approved. It returns a list in the same order, ``None`` for plans whose tasks were
    skipped, and the tasks behind take it with the ``plan_number`` of theirs, from 0 on.

    :param plan: What a plan operator returned, or a list of that: all for one portal. (templated)
    :param mode: ``always`` asks about every plan that changes something, ``over_limit`` where it has more
        than ``over`` changes, several plans together, ``never`` lets every plan pass. (templated)
    :param over: The most changes that need no approval, with ``over_limit``. (templated)
    :param is_dry_run: A dry run is never asked about, and may break a guard. (templated)
    :param valid_for: How long an approval may be used: a ``timedelta``, or hours; ``None`` for no limit.
        Apply refuses a plan whose approval has expired. (templated)
    :param applied_by: The ``canary``, ``max_failed``, ``max_failure_share``, ``quiet_hours``, ``timezone``
        and ``wait_for_turn`` that the tasks behind will go by, which may be reckoned from the plan. They are
        shown. Where they cannot be right they are refused here, before anybody is asked and anything is
        written. ``carry_out`` tells them; ``None`` for none to show. (templated)
    :param bitrix24_conn_id: Id of the connection by which names are read of the owners and contacts that
        are shown; what it does not give stands there by its id. ``carry_out`` names that of the plan;
        ``None`` for ids alone. (templated)
    :param response_timeout: How long an answer is awaited, a ``timedelta``; by default so many hours as
        ``[bitrix24] approval_deadline`` says (72). Then the task fails, and nothing is written.
    :param execution_timeout: How long the task may be at work, before it waits and after; the waiting does
        not count. ``None`` for as long as it takes.
    :param kwargs: What Airflow's ``ApprovalOperator`` takes: ``assigned_users``, ``notifiers``,
        ``fail_on_reject`` and so on. It is asked about once: where nobody answers in time, or a rejection is
        to fail the task, Airflow does not retry.
    :raises InvalidInput: A period of time that is none.
    :raises PlanRefused: The plan was edited, replaced, or breaks a guard: nobody is asked, or what was
        answered counts for nothing.
    """

    template_fields: Sequence[str] = (
        *ApprovalOperator.template_fields,
        "plan",
        "made_in",
        "mode",
        "over",
        "is_dry_run",
        "valid_for",
        "applied_by",
        "bitrix24_conn_id",
    )
    ui_color = "#fbe3c0"

    told: Told | None = None
    """What notifiers tell of it."""

    def __init__(
        self,
        *,
        plan: PlanGiven | Sequence[PlanGiven | None],
        mode: str = "always",
        over: int | str = 0,
        is_dry_run: bool | str = True,
        valid_for: timedelta | float | str | None = 24,
        applied_by: Mapping[str, Any] | None = None,
        bitrix24_conn_id: str | None = None,
        response_timeout: timedelta | None = None,
        execution_timeout: timedelta | None = None,
        **kwargs: Unpack[ApprovalArguments],
    ) -> None:
        for argument, given in (
            ("response_timeout", response_timeout),
            ("execution_timeout", execution_timeout),
        ):
            if given is not None and not (isinstance(given, timedelta) and given > timedelta(0)):
                raise InvalidInput(argument, given, gettext("a timedelta above 0, or None"))
        # What is shown is known only when the plan is made. Where Airflow's operator is given an
        # execution_timeout, be it from a DAG's default_args, it takes that for the deadline of the answer.
        super().__init__(
            subject="", body="", response_timeout=response_timeout, execution_timeout=None, **kwargs
        )
        self.execution_timeout = execution_timeout
        self.take(plan)
        self.mode = mode
        self.over = over
        self.is_dry_run = is_dry_run
        self.valid_for = valid_for
        self.applied_by = applied_by
        self.bitrix24_conn_id = bitrix24_conn_id
        check_constants(
            self,
            ("mode", self._mode),
            ("over", self._most_unasked),
            ("is_dry_run", lambda: switch("is_dry_run", self.is_dry_run)),
            ("valid_for", self._period),
            ("applied_by", self._check_orders),
            ("bitrix24_conn_id", self._connection),
        )

    @says_why
    def execute(self, context: Context) -> Any:
        """Check the plans and ask, where that is needed."""
        with final_failures():
            self._period()
            self._check_orders()
            plans, asker, now = self._checked(context), asker_of(context), datetime.now(UTC)
            changes = sum(plan.manifest.changes for plan in plans)
            nobody = {plan.number: self._nobody_for(plan.manifest, changes) for plan in plans}
            asked = [plan for plan in plans if nobody[plan.number] is None]
            for plan in plans:
                check_other_tasks(plan.folder, plan.manifest, asker, asks=plan in asked)
            if asked:
                self.response_timeout = self.response_timeout or _deadline()
                end = now + self.response_timeout
                self.subject = headline(*(plan.manifest for plan in asked))
                self.body = self._body(context, plans, end)
        together = tuple(plan.manifest.hash for plan in plans) if self.is_several else ()
        for plan in plans:
            decision = Approval(plan.manifest.hash, "waiting", moment(now), asked=asker, together=together)
            if why := nobody[plan.number]:
                self.log.info("%s", gettext("Nobody is asked: {nobody}", nobody=why[1]))
                told = {"answer": "not asked", "unasked": why[0], "reason": why[1]}
                decide(plan.folder, structs.replace(decision, **told))
        if not asked:
            return self._passed(plans, by="", at=now, valid_until=None)
        limits = {name: text for name, text in self._limits().items() if name in (self.applied_by or {})}
        for plan in asked:
            # It may be made again while the question waits, and its task then hands over another one.
            decision = Approval(plan.manifest.hash, "waiting", moment(now), asked=asker, together=together)
            shown = {"by": self._asked(), "until": moment(end), "limits": limits, "put": moment(now)}
            decide(plan.folder, structs.replace(decision, **shown))
        until = shown_timestamp(end.isoformat())
        said = gettext(
            "{subject} Answer under Required actions until {until}.", subject=self.subject, until=until
        )
        self.log.info("%s", said)
        self.told = asks([plan.manifest for plan in asked], until)
        # A mail server that is away shall not keep anybody from approving.
        self.notifiers = cast("Sequence[BaseNotifier]", [Telling(self.notifiers)])
        super().execute(context)  # raises: the task waits
        raise AirflowFailException(gettext("Airflow went on without an answer"))

    @says_why
    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Go on after the answer, where the plans are still those that were shown."""
        by, questions = who_answered(event), self._questions(context)
        if event.get("error_type") == "timeout":
            for question in questions.values():
                if question.is_ours:
                    question.keep("unanswered", datetime.now(UTC))
            raise AirflowFailException(
                gettext("nobody answered in time; nothing was written. Clear this task, and it asks again")
            )
        if is_rejected := event.get("chosen_options") == [self.REJECT]:
            # Skipping what follows ends the task.
            self.log.info("%s", gettext("Rejected by {by}; nothing was written", by=by))
            self.told = rejected(by)
            for question in questions.values():  # whichever task of this run asks: one that says no is enough
                question.keep("rejected", event["responded_at"], by=by)
        try:
            answer = super().execute_complete(context, event)
        except HITLRejectException:
            raise AirflowFailException(gettext("rejected by {by}; nothing was written", by=by)) from None
        at = answer["responded_at"]
        if is_rejected:
            told = {"mode": self.mode, "by": by, "at": at.isoformat(), "answer": "rejected"}
            return self._in_order({number: {"approval": told} for number, _ in self._given()})
        with final_failures():
            plans = self._checked(context)
            check_as_shown(plans, questions, by)
            period = self._period()
        valid_until = None if period is None else at + period
        end = shown_timestamp(valid_until.isoformat()) if valid_until else gettext("further notice")
        for question in questions.values():
            if question.is_ours:
                question.keep("approved", at, by=by, until=valid_until)
        self.log.info("%s", gettext("Approved by {by}; may be used until {end}", by=by, end=end))
        return self._passed(plans, by=by, at=at, valid_until=valid_until)

    def _given(self) -> list[tuple[int, Any]]:
        """Give what names each plan, with its number; none of tasks that were skipped."""
        if not self.is_several:
            return [(0, self.plan)]
        return [(number, given) for number, given in enumerate(self.plan) if given is not None]

    def _questions(self, context: Context) -> dict[int, Question]:
        """Give what this run has decided about each plan so far, by its number."""
        found = {number: decision_in_run(given, context, self.is_at_home) for number, given in self._given()}
        asker = asker_of(context)
        return {number: Question(*decided, asker) for number, decided in found.items() if decided}

    def _body(self, context: Context, plans: Sequence[Asked], end: datetime) -> str:
        """Give what a person is shown."""
        limits = [(gettext(CALLED[one]), gettext(text)) for one, text in self._limits().items()]
        shown = []
        for plan in plans:
            found = plan_digest(plan.folder, plan.manifest)
            names = self._names(plan.folder, plan.manifest, found)
            shown.append(ShownPlan(plan.manifest, found, names))
        meaning = meaning_of_answers(end, self._period(), self.defaults)
        return f"{report_link(context, plans[0].folder)}{meaning}\n\n{pages(shown, limits)}"

    def _check_orders(self) -> None:
        """Refuse what canary, apply or check would, after somebody has approved or all is written."""
        given = {} if self.applied_by is None else self.applied_by
        if not isinstance(given, Mapping):
            accepted = gettext(
                "a dict with canary, max_failed, max_failure_share, quiet_hours and timezone, or None"
            )
            raise InvalidInput("applied_by", given, accepted)
        count("canary", given.get("canary", 0))
        optional_count("max_failed", given.get("max_failed"))
        optional_share("max_failure_share", given.get("max_failure_share"))
        wait("wait_for_turn", given.get("wait_for_turn", 0))
        quiet_of(given)

    def _limits(self) -> dict[str, str]:
        """Give the limits that the tasks behind will go by, as they stand; none where they are not told."""
        return as_shown(self.applied_by) if self.applied_by else {}

    def _names(self, folder: Path, manifest: Manifest, found: Digest) -> Mapping[int, OwnerNames]:
        """Read the names of what is shown; a connection that does not work shows ids."""
        if not (conn_id := self._connection()) or not shows_names():
            return {}
        return read_shown(opened_async(conn_id), folder, manifest, found.shown, found.places)

    def _connection(self) -> str:
        given: object = self.bitrix24_conn_id
        if is_nothing(given):
            return ""
        if not isinstance(given, str):
            raise InvalidInput("bitrix24_conn_id", given, gettext("the id of a connection, as text, or None"))
        return given

    def _asked(self) -> str:
        """Give the names of those who may answer; nothing where all may who see it."""
        return ", ".join(str(user.get("name") or user.get("id")) for user in self.assigned_users or ())

    def _mode(self) -> str:
        if self.mode not in MODES:
            accepted = gettext("{modes} (carry_out calls it approval)", modes=", ".join(MODES))
            raise InvalidInput("mode", self.mode, accepted)
        return self.mode

    def _most_unasked(self) -> int:
        return count("over", self.over, gettext(" (carry_out calls it approve_over)"))

    def _nobody_for(self, manifest: Manifest, changes: int) -> tuple[Unasked, str] | None:
        """Say why nobody has to be asked about a plan; ``None`` where somebody has to.

        :param changes: How many it has together with the plans beside it: an empty one needs no question.
        """
        return self._needs_nobody(changes if manifest.changes else 0, no_match(manifest))

    def _needs_nobody(self, changes: int, none: str = "") -> tuple[Unasked, str] | None:
        """Say why nobody has to be asked about so many changes, in words too; ``None`` where somebody has to.

        :param none: That the plan is about nothing that there is, in words.
        """
        self._mode()
        over = self._most_unasked()
        if switch("is_dry_run", self.is_dry_run):
            return "dry run", "; ".join(filter(None, (gettext("a dry run writes nothing"), none)))
        if not changes:
            return "empty", ": ".join(filter(None, (gettext("the plan is empty"), none)))
        if self.mode == "never":
            return "never", gettext("approval is switched off")
        if self.mode == "over_limit" and changes <= over:
            return "within limit", ngettext(
                "{count} change, and only more than {over} need an approval",
                "{count} changes, and only more than {over} need an approval",
                changes,
                over=over,
            )
        return None

    def _checked(self, context: Context) -> list[Asked]:
        """Read the plans, and refuse those that are not the ones that this run made, or may not run.

        :raises AirflowSkipException: There are none.
        """
        plans, run = [], asker_of(context).run
        for number, given in self._given():
            named = named_plan(given)
            folder, manifest = self.read_plan(given, named["plan"], named["hash"], run, number=number)
            check_parts(folder, manifest)
            for broken in manifest.broken_guards:
                if not switch("is_dry_run", self.is_dry_run):
                    raise PlanRefused(gettext("the plan may not run: {broken}", broken=broken))
                self.log.warning("%s", gettext("A real run would be refused: {broken}", broken=broken))
            plans.append(Asked(number, named, folder, manifest))
        if not plans:
            raise AirflowSkipException(gettext("there is no plan: the tasks that make them were skipped"))
        if len(portals := {plan.manifest.portal for plan in plans}) > 1:
            portals_told = listed(sorted(portals))
            raise PlanRefused(
                gettext("one question is about one portal, not {portals}", portals=portals_told)
            )
        return plans

    def _period(self) -> timedelta | None:
        return hours("valid_for", self.valid_for)

    def _passed(self, plans: Sequence[Asked], *, by: str, at: datetime, valid_until: datetime | None) -> Any:
        until = None if valid_until is None else valid_until.isoformat()
        approval: dict[str, Any] = {"mode": self.mode, "by": by, "at": at.isoformat(), "valid_until": until}
        if switch("is_dry_run", self.is_dry_run):
            approval["is_dry_run"] = True  # nobody was asked
        return self._in_order({plan.number: {**plan.given, "approval": approval} for plan in plans})

    def _in_order(self, told: Mapping[int, dict[str, Any]]) -> Any:
        """Give what is told of each plan: in the order of the list of plans, or of the only one."""
        return [told.get(number) for number in range(len(self.plan))] if self.is_several else told[0]


def _deadline() -> timedelta:
    """Give how long an answer is awaited where the task does not say so.

    :raises InvalidInput: The configuration says what is no number of hours above 0.
    """
    given = conf.get("bitrix24", "approval_deadline", fallback=None) or None  # an empty setting is none
    return hours("[bitrix24] approval_deadline", given, gettext("a number of hours above 0")) or DEADLINE

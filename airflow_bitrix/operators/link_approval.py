"""Letting a person approve a plan, in Airflow's own form, before anything of it is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Unpack, cast

from airflow.providers.standard.exceptions import HITLRejectException
from airflow.sdk import Context, XComArg
from airflow.sdk.bases.notifier import BaseNotifier
from msgspec import structs

from airflow_bitrix.compat import AirflowFailException, ApprovalOperator, conf
from airflow_bitrix.core.errors import InvalidInput, PlanRefused
from airflow_bitrix.core.foreign_text import as_plain_text
from airflow_bitrix.core.languages import gettext, ngettext
from airflow_bitrix.core.names import OwnerNames
from airflow_bitrix.core.timestamps import shown_timestamp
from airflow_bitrix.files.approvals import Answer, Approval, Asker, Unasked
from airflow_bitrix.files.plans import Manifest, check_parts
from airflow_bitrix.hooks.failures import final_failures, says_why
from airflow_bitrix.hooks.opening import opened_async
from airflow_bitrix.links import report_address
from airflow_bitrix.notifications.telling import Telling
from airflow_bitrix.operators.shared.artifacts import is_in_tab, tab_folder
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
from airflow_bitrix.operators.shared.shown_limits import CALLED, as_shown, quiet_of
from airflow_bitrix.operators.shared.task_arguments import ApprovalArguments
from airflow_bitrix.report.approval import Digest, as_markdown, headline, plan_digest
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

    :param plan: What a plan operator returned. (templated)
    :param mode: ``always`` asks about every plan that changes something, ``over_limit`` where it has more
        than ``over`` changes, ``never`` lets every plan pass. (templated)
    :param over: The most changes that need no approval, with ``over_limit``. (templated)
    :param is_dry_run: A dry run is never asked about, and may break a guard. (templated)
    :param valid_for: How long an approval may be used: a ``timedelta``, or hours; ``None`` for no limit.
        Apply refuses a plan whose approval has expired. (templated)
    :param applied_by: The ``canary``, ``max_failed``, ``max_failure_share``, ``quiet_hours``, ``timezone``
        and ``wait_for_turn`` that the tasks behind will go by, which may be reckoned from the plan. They are
        shown. Where they cannot be right they are refused here, before anybody is asked and anything is
        written. ``carry_out`` tells them; ``None`` for none to show. (templated)
    :param bitrix24_conn_id: Id of the connection by which names are read of the leads, deals and contacts
        that are shown; what it does not give stands there by its id. ``carry_out`` names that of the plan;
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
        plan: Mapping[str, Any] | XComArg | str,
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
    def execute(self, context: Context) -> dict[str, Any]:
        """Check the plan and ask, where that is needed."""
        with final_failures():
            self._period()
            self._check_orders()
            folder, manifest = self._checked(context)
            nobody = self._needs_nobody(manifest.changes, no_match(manifest))
            check_other_tasks(folder, manifest, asker_of(context), asks=nobody is None)
            now = datetime.now(UTC)
            if nobody is None:
                self.response_timeout = self.response_timeout or _deadline()
                end = now + self.response_timeout
                self.subject = headline(manifest)
                found = plan_digest(folder, manifest)
                limits = [(gettext(CALLED[one]), gettext(text)) for one, text in self._limits().items()]
                page = as_markdown(manifest, found, limits, self._names(folder, manifest, found))
                meaning = meaning_of_answers(end, self._period(), self.defaults)
                self.body = f"{_link(context, folder)}{meaning}\n\n{page}"
        decision = Approval(manifest.hash, "waiting", _moment(now), asked=asker_of(context))
        if nobody is not None:
            self.log.info("%s", gettext("Nobody is asked: {nobody}", nobody=nobody[1]))
            why = {"answer": "not asked", "unasked": nobody[0], "reason": nobody[1]}
            decide(folder, structs.replace(decision, **why))
            return self._passed(by="", at=now, valid_until=None)
        told = {name: text for name, text in self._limits().items() if name in (self.applied_by or {})}
        # The plan may be made again while the question waits, and its task then hands over another one.
        decide(
            folder,
            structs.replace(decision, by=self._asked(), until=_moment(end), limits=told, put=decision.at),
        )
        until = shown_timestamp(end.isoformat())
        said = gettext(
            "{subject} Answer under Required actions until {until}.", subject=self.subject, until=until
        )
        self.log.info("%s", said)
        self.told = asks(manifest, until)
        # A mail server that is away shall not keep anybody from approving.
        self.notifiers = cast("Sequence[BaseNotifier]", [Telling(self.notifiers)])
        super().execute(context)  # raises: the task waits
        raise AirflowFailException(gettext("Airflow went on without an answer"))

    @says_why
    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Go on after the answer, where the plan is still the one that was shown."""
        by, asker = _name(event), asker_of(context)
        place, shown = decision_in_run(self.plan, context, self.is_at_home) or (None, None)
        is_ours = bool(shown and shown.answer == "waiting" and shown.asked == asker)
        if event.get("error_type") == "timeout":
            if place and shown and is_ours:
                _keep(place, shown, asker, "unanswered", datetime.now(UTC))
            raise AirflowFailException(
                gettext("nobody answered in time; nothing was written. Clear this task, and it asks again")
            )
        if is_rejected := event.get("chosen_options") == [self.REJECT]:
            # Skipping what follows ends the task.
            self.log.info("%s", gettext("Rejected by {by}; nothing was written", by=by))
            self.told = rejected(by)
            if place and shown:  # whichever task of this run asks: one that says no is enough
                _keep(place, shown, asker, "rejected", event["responded_at"], by=by)
        try:
            answer = super().execute_complete(context, event)
        except HITLRejectException:
            raise AirflowFailException(gettext("rejected by {by}; nothing was written", by=by)) from None
        at = answer["responded_at"]
        if is_rejected:
            return {"approval": {"mode": self.mode, "by": by, "at": at.isoformat(), "answer": "rejected"}}
        with final_failures():
            folder, manifest = self._checked(context)
            if not shown or not is_ours:
                raise PlanRefused(
                    gettext(
                        "what was shown to {by} is not known any more: the decision in {folder} is "
                        "gone, or that of another question. Clear this task, and it asks again",
                        by=by,
                        folder=folder.parent,
                    )
                )
            if shown.plan != manifest.hash:
                raise PlanRefused(
                    gettext(
                        "the plan was made again after it was shown to {by}: {approved} was approved, "
                        "{made} was not; clear this task, and it asks again",
                        by=by,
                        approved=shown.plan[:12],
                        made=manifest.hash[:12],
                    )
                )
            period = self._period()
        valid_until = None if period is None else at + period
        end = valid_until.isoformat(" ", "minutes") if valid_until else gettext("further notice")
        _keep(folder, shown, asker, "approved", at, by=by, until=valid_until)
        self.log.info("%s", gettext("Approved by {by}; may be used until {end}", by=by, end=end))
        return self._passed(by=by, at=at, valid_until=valid_until)

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

    def _checked(self, context: Context) -> tuple[Path, Manifest]:
        """Read the plan, and refuse it where it is not the one that this run made, or may not run."""
        given = named_plan(self.plan)
        folder, manifest = self.read_plan(given["plan"], given["hash"], asker_of(context).run)
        check_parts(folder, manifest)
        for broken in manifest.broken_guards:
            if not switch("is_dry_run", self.is_dry_run):
                raise PlanRefused(gettext("the plan may not run: {broken}", broken=broken))
            self.log.warning("%s", gettext("A real run would be refused: {broken}", broken=broken))
        return folder, manifest

    def _period(self) -> timedelta | None:
        return hours("valid_for", self.valid_for)

    def _passed(self, *, by: str, at: datetime, valid_until: datetime | None) -> dict[str, Any]:
        until = None if valid_until is None else valid_until.isoformat()
        approval: dict[str, Any] = {"mode": self.mode, "by": by, "at": at.isoformat(), "valid_until": until}
        if switch("is_dry_run", self.is_dry_run):
            approval["is_dry_run"] = True  # nobody was asked
        return {**named_plan(self.plan), "approval": approval}


def _deadline() -> timedelta:
    """Give how long an answer is awaited where the task does not say so.

    :raises InvalidInput: The configuration says what is no number of hours above 0.
    """
    given = conf.get("bitrix24", "approval_deadline", fallback=None) or None  # an empty setting is none
    return hours("[bitrix24] approval_deadline", given, gettext("a number of hours above 0")) or DEADLINE


def _link(context: Context, plan: Path) -> str:
    """Give the line that leads to the report; nothing where the tab of this run does not have the plan."""
    ti = context["ti"]
    if not is_in_tab(plan, tab_folder(ti.dag_id, ti.run_id)):
        return ""
    report = report_address(ti.dag_id, ti.run_id, plan.parent.name)
    return gettext("[All changes, in the report of this run]({report})\n\n", report=report)


def _keep(
    plan: Path,
    shown: Approval,
    asker: Asker,
    answer: Answer,
    at: datetime,
    *,
    by: str = "",
    until: Any = None,
) -> None:
    """Keep the answer to the question about a plan.

    :param shown: The question, with the plan that was shown.
    """
    end = _moment(until) if until else ""
    told = {"answer": answer, "at": _moment(at), "by": by, "until": end, "asked": asker}
    decide(plan, structs.replace(shown, **told))


def _moment(at: datetime) -> str:
    return at.isoformat(timespec="seconds")


_LONGEST_NAME = 100


def _name(event: Mapping[str, Any]) -> str:
    user = event.get("responded_by_user") or {}
    return as_plain_text(user.get("name") or user.get("id") or gettext("nobody, by default"), _LONGEST_NAME)

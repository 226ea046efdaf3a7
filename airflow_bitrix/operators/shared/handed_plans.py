"""Finding the plan that another task handed on: the one that this DAG run's task made, and no other.

What tasks hand on is an XCom, which many may rewrite, and a plan that lies where they may write, as in a
bucket of their own, would bring its own approval along. So nothing is even looked at elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from airflow_bitrix.compat import AirflowSkipException
from airflow_bitrix.core.errors import InvalidInput, PlanRefused
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.core.numbers import whole_number
from airflow_bitrix.files.approvals import shown_run
from airflow_bitrix.files.plans import MANIFEST, Manifest, read_manifest
from airflow_bitrix.operators.shared.artifacts import artifacts_root, given_folder, lies_in
from airflow_bitrix.operators.shared.other_hosts import refuse_unseen
from airflow_bitrix.operators.shared.parameters import count, is_nothing
from airflow_bitrix.operators.shared.plan_maker import LinkPlanMaker


class TakesPlan:
    """An operator that goes by plans which other tasks made: by one, or with a list by each of them."""

    plan: Any
    """What names it: what a task returned, or a folder; or a list of such. (templated)"""

    is_several: bool = False
    """Whether the DAG file gives a list of plans."""

    plan_number: int | None = None
    """Which of the plans is meant that an approval of several returns, from 0 on."""

    makers: Sequence[str] = ("",)
    """The tasks that make them, where the DAG file says so: ``plan=plan.output``, or an approval of it."""

    made_in: Any = ""
    """The ``artifacts_path`` that the DAG file gives that task; of several a list. (templated)"""

    artifacts_path: Any = ""

    def take(self, plan: Any, number: int | None = None) -> None:
        """Keep what names the plan, and what the DAG file says of the task that makes it.

        :param number: Which one is meant, where an approval of several hands them on.
        :raises InvalidInput: There are not so many, or it has to be said.
        """
        self.plan = plan
        if number is not None:
            self.plan_number = count("plan_number", number, gettext(", or None for the only plan"))
        self.is_several = isinstance(plan, (list, tuple))
        if self.is_several:
            made = [_made_by(one) for one in plan]
            self.makers, self.made_in = [maker for maker, _ in made], [place for _, place in made]
            return
        task = getattr(plan, "operator", None)  # before Airflow fills it in
        if isinstance(task, TakesPlan) and task.is_several:
            last = len(task.makers) - 1
            if self.plan_number is None or self.plan_number > last:
                accepted = gettext("a number from 0 to {last}: which of the plans is meant", last=last)
                raise InvalidInput("plan_number", number, accepted)
            maker, self.made_in = task.makers[self.plan_number], task.made_in[self.plan_number]
        else:
            maker, self.made_in = _made_by(plan)
        self.makers = [maker]

    def handed(self) -> Any:
        """Give what names the plan; of several that one which is meant.

        :raises AirflowSkipException: That one was skipped.
        :raises InvalidInput: There is no such one.
        """
        if self.plan_number is None:
            return self.plan
        several = dict(enumerate(self.plan)) if isinstance(self.plan, (list, tuple)) else {}
        if self.plan_number not in several:
            accepted = gettext("what an approval returned that has a plan of such a plan_number")
            raise InvalidInput("plan", self.plan, accepted)
        if (found := several[self.plan_number]) is None:
            raise AirflowSkipException(gettext("there is no such plan: the task that makes it was skipped"))
        return found

    def is_at_home(self, place: Path) -> bool:
        """Whether a plan lies where workers alone write: among the artifacts, or where the DAG file says."""
        made_in = self.made_in if isinstance(self.made_in, (list, tuple)) else [self.made_in]
        given = (one for one in (*made_in, self.artifacts_path) if not is_nothing(one))
        folders = [given_folder("artifacts_path", one) for one in given]
        return any(lies_in(place, folder) for folder in folders) or lies_in(place, artifacts_root())

    def read_plan(
        self, given: object, place: object, plan_hash: object, run: str, *, number: int = 0
    ) -> tuple[Path, Manifest]:
        """Read a plan; where a task handed it on it is one of this run. A DAG file may name any folder.

        :param given: What names it.
        :param place: Its folder.
        :param run: This DAG run, as people read it; empty outside of one.
        :param number: Which of the operator's plans it is.
        :raises PlanRefused: It lies elsewhere, was replaced, or another run or task made it.
        :raises RetryLater: There is none, and another host wrote it, which may have a disk of its own.
        """
        folder = given_folder("plan", place)
        is_handed_on = isinstance(given, Mapping)
        if is_handed_on and run and not self.is_at_home(folder):
            raise PlanRefused(
                gettext(
                    "the plan in {folder} lies neither among the artifacts nor in the artifacts_path "
                    "that the DAG file gives the task that makes it: what a task returned may have "
                    "been rewritten",
                    folder=folder,
                )
            )
        if isinstance(given, Mapping):
            host = given.get("host")
            if host is not None and not (folder / MANIFEST).exists():
                refuse_unseen("plan", folder, host)
        manifest = read_manifest(folder)
        if manifest.hash != plan_hash:
            raise PlanRefused(
                gettext(
                    "the plan in {folder} is not the one with hash {plan_hash}: it was replaced",
                    folder=folder,
                    plan_hash=plan_hash,
                )
            )
        if is_handed_on:
            _check_maker(self.makers[number], folder, manifest, run)
        return folder, manifest


def _made_by(plan: Any) -> tuple[str, Any]:
    """Give the task that makes a plan, and its ``artifacts_path``, as far as the DAG file says."""
    task = getattr(plan, "operator", None)
    if isinstance(task, TakesPlan):
        return task.makers[0], task.made_in
    if task is None or not issubclass(getattr(task, "operator_class", type(task)), LinkPlanMaker):
        return "", ""
    own = getattr(task, "partial_kwargs", {}).get("artifacts_path", "")  # where it is mapped
    return str(task.task_id), getattr(task, "artifacts_path", own)


def _check_maker(maker: str, folder: Path, manifest: Manifest, run: str) -> None:
    if maker and manifest.task not in (maker, ""):  # an earlier version did not tell
        raise PlanRefused(
            gettext(
                "the plan in {folder} was not made by the task {maker}, whose plan this is to be",
                folder=folder,
                maker=maker,
            )
        )
    if manifest.run != run:
        made, this = (shown_run(text) or gettext("no DAG run") for text in (manifest.run, run))
        raise PlanRefused(
            gettext(
                "the plan in {folder} was made by {made}, and this is {this}: tasks hand on plans "
                "of their own run alone. A DAG may name another run's plan to the apply, by folder "
                "and plan_hash",
                folder=folder,
                made=made,
                this=this,
            )
        )


def given_parts(part: object, manifest: Manifest) -> list[int] | None:
    """Read which parts of a plan are to be applied; ``None`` for all.

    :param part: The number of one, or a list of them.
    :raises InvalidInput: The plan has no such part, or one is named twice.
    """
    if part is None:
        return None
    given = part if isinstance(part, (list, tuple)) else [part]
    numbers = [whole_number(str(one)) for one in given]
    last = len(manifest.parts) - 1
    parts = sorted({number for number in numbers if number is not None and number <= last})
    if len(parts) != len(given):
        raise InvalidInput("part", part, gettext("numbers of parts, from 0 to {last}, each once", last=last))
    return parts


def named_plan(given: object) -> Mapping[str, Any]:
    """Give what a task handed on.

    :raises InvalidInput: It names no plan.
    """
    if isinstance(given, Mapping) and {"plan", "hash"} <= given.keys():
        return given
    raise InvalidInput("plan", given, gettext("what the plan operator or the approval returned"))

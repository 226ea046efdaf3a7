"""One comment on the card of each lead that was changed: what it had, what it has, why, and by whom."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_bitrix.client.pacing import Retries
from airflow_bitrix.core.plan import Change
from airflow_bitrix.files.approvals import Approval, write_approval
from airflow_bitrix.operators.link_plans import (
    Bitrix24ApplyLinkPlanOperator,
    Bitrix24PlanLinkRestoreOperator,
)
from tests.operators import applies
from tests.operators.applies import LOCKED, bare, counts, links, make

sandbox = applies.sandbox

ADD, LIST = "crm.timeline.comment.add", "crm.timeline.comment.list"


def apply(made: dict[str, Any], **arguments: Any) -> Any:
    fields = {"plan": made, "is_dry_run": False, "needs_approval": False, "comment": True, **arguments}
    operator = Bitrix24ApplyLinkPlanOperator(task_id="apply", **fields)
    operator.hook.retries = Retries(times=6, first=0.01, longest=0.05)
    return operator.execute({})


def comments(sandbox: Any) -> Counter[int]:
    return Counter(one.owner_id for one in sandbox.state.comments.values())


def once(*leads: int) -> dict[int, int]:
    return dict.fromkeys(leads, 1)


def test_each_lead_that_was_changed_gets_one_that_tells_all(sandbox: Any, tmp_path: Path) -> None:
    def kind(lead: int) -> Change:
        before = links(lead, (1, 10, True), (2, 20, False))
        return Change(
            before, links(lead), ("a: one [USER=1]x[/USER]", "b: $result[a] two"), ("a", "b"), may_empty=True
        )

    made = make(sandbox, tmp_path, 4, kind)
    sandbox.state.write_links("lead", 2, ())  # right already
    sandbox.state.add("lead", {})
    told = Approval(
        made["hash"], "approved", "2026-11-29T08:00:00+00:00", "Olga", "2099-01-01T00:00:00+00:00"
    )
    write_approval(tmp_path, told)
    assert not apply(made, is_dry_run=True)["comments"]["made"]
    assert not sandbox.state.comments
    done = apply(made)
    assert done["comments"] == {"made": 3, "refused": 0}
    assert comments(sandbox) == once(1, 3, 4)
    contact = f"[URL={sandbox.base_url}/crm/contact/details/"
    assert next(iter(sandbox.state.comments.values())).text.splitlines() == [
        "[B]Contacts were changed by Airflow[/B]",
        f"Before: {contact}1/]1[/URL] (primary), {contact}2/]2[/URL]",
        "Now: no contacts",
        "Why: a: one (USER=1)x(/USER); b: $result(a) two",
        "Approved by Olga, 2026-11-29 08:00 UTC",
        f"By an apply outside of Airflow (airflow-bitrix {made['hash'][:12]})",
    ]
    apply(made)
    assert comments(sandbox) == once(1, 3, 4)


def test_they_are_off_by_default_and_cost_a_request_for_fifty(sandbox: Any, tmp_path: Path) -> None:
    made = make(sandbox, tmp_path, 200)
    assert apply(made, comment=False)["comments"]["made"] == 0
    sandbox.reset_stats()
    assert apply(made)["comments"]["made"] == 200  # who turns it on later is told what was changed before
    assert sandbox.stats()["methods"] == {"batch": 1 + 200 // 50}  # one that looks at them
    assert comments(sandbox) == once(*range(1, 201))


@pytest.mark.parametrize("fault", [{"drop_after": 0.5}, {"drop_before": 0.5}, {"throttle": 0.5}])
def test_a_comment_whose_answer_was_lost_is_looked_for_and_not_made_twice(
    sandbox: Any, tmp_path: Path, fault: dict[str, float]
) -> None:
    made = make(sandbox, tmp_path, 300)
    apply(made, comment=False)
    sandbox.set_faults(**fault)
    tries = (apply(made) for _ in range(5))  # what was not heard of in one of them is looked for by the next
    assert any(done["comments"]["made"] == 300 for done in tries)
    assert comments(sandbox) == once(*range(1, 301))
    were_lost = "throttle" not in fault
    assert (sandbox.stats()["commands_in_batches"].get(LIST, 0) > 0) == were_lost


@pytest.mark.parametrize(
    ("refuse", "why"),
    [
        (
            lambda sandbox: sandbox.set_switches(missing_methods=[ADD]),
            "ERROR_METHOD_NOT_FOUND: Method not found!",
        ),
        (
            lambda sandbox: sandbox.set_faults(command=1, only_methods=[ADD], command_error=LOCKED),
            "This lead is locked.",
        ),
    ],
)
def test_what_the_portal_refuses_is_told_in_a_line_and_fails_nothing(
    sandbox: Any,
    tmp_path: Path,
    logged: Callable[[], list[str]],
    refuse: Callable[[Any], None],
    why: str,
) -> None:
    made = make(sandbox, tmp_path, 60)
    refuse(sandbox)
    done = apply(made)
    assert counts(done) == {"applied": 60}
    assert done["comments"] == {"made": 0, "refused": 60}
    line = r"0 comments made on the cards of leads, 60 refused by the portal, the first for lead \d+: "
    told = [
        one for one in logged() if re.fullmatch(f"info: {line}{re.escape(why.removesuffix('.'))}\\.", one)
    ]
    assert len(told) == 1
    assert re.search(line, Path(done["report"]).read_text())
    sandbox.reset_switches()
    sandbox.clear_faults()
    apply(made)  # refused is refused: a retry asks for none of them again
    assert not sandbox.state.comments


def test_a_method_that_rests_is_waited_for_by_a_deferral_and_keeps_no_write_back(
    sandbox: Any, tmp_path: Path
) -> None:
    made = make(sandbox, tmp_path, 120)
    error = {"error": "OPERATION_TIME_LIMIT", "error_description": "Method is blocked."}
    sandbox.set_faults(command=1, only_methods=[ADD], command_error=error)
    with pytest.raises(TaskDeferred):
        apply(made)
    assert bare(sandbox) == set(range(1, 121))
    assert not sandbox.state.comments
    sandbox.clear_faults()
    done = apply(made)
    assert done["comments"]["made"] == 120
    assert comments(sandbox) == once(*range(1, 121))


def test_an_apply_that_too_many_failures_end_has_told_what_it_changed(sandbox: Any, tmp_path: Path) -> None:
    made = make(sandbox, tmp_path, 40)
    sandbox.set_faults(command=1, only_methods=["crm.lead.contact.delete"], command_error=LOCKED)
    with pytest.raises(Exception, match="canary: 10 of the first 10"):
        apply(made, canary=10)
    assert not sandbox.state.comments
    sandbox.clear_faults()
    assert counts(apply(made)) == {"applied": 40}
    assert comments(sandbox) == once(*range(1, 41))


def test_a_restore_leaves_comments_of_its_own(sandbox: Any, tmp_path: Path) -> None:
    made = make(sandbox, tmp_path, 3)
    apply(made)
    told: dict[str, Any] = {"journal": str(tmp_path), "artifacts_path": str(tmp_path / "back")}
    back = Bitrix24PlanLinkRestoreOperator(task_id="plan", **told).execute({})
    assert apply(back)["comments"]["made"] == 3
    assert comments(sandbox) == dict.fromkeys((1, 2, 3), 2)
    last = [*sandbox.state.comments.values()][-1].text.splitlines()
    assert ("/2/]2[/URL]" in last[1], "/2/]2[/URL]" in last[2]) == (False, True)

"""What a report says, gathered from a plan and its journal."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

from airflow_bitrix.core.foreign_text import as_plain_text
from airflow_bitrix.core.kind_words import kind_words, titled
from airflow_bitrix.core.languages import gettext, gettext_noop
from airflow_bitrix.core.links import Owner, owner_address
from airflow_bitrix.core.migrations import MIGRATIONS
from airflow_bitrix.core.names import NAMELESS, OwnerNames
from airflow_bitrix.core.plan import OUTCOMES, Change, ChangeOutcome, companies_of
from airflow_bitrix.core.restores import RULE as RESTORE
from airflow_bitrix.core.restores import with_known_scalar
from airflow_bitrix.core.rules import RULES
from airflow_bitrix.files.apply_costs import ApplyCost
from airflow_bitrix.files.apply_times import ApplyTimes
from airflow_bitrix.files.approvals import Approval
from airflow_bitrix.files.indexed_parts import BIGGEST, STATES
from airflow_bitrix.files.plans import Manifest
from airflow_bitrix.files.taken_back import TakenBack
from airflow_bitrix.files.writers import Wait
from airflow_bitrix.report.differences import Contacts, company_note, difference
from airflow_bitrix.report.names import about

MOST_ROWS = 500
"""Rows of what failed, drifted or was overwritten that a page holds at most; the files hold all of them."""

MOST_CHANGES = 5000
"""Changes that a page in a file holds at most, to be searched."""


@dataclass(frozen=True, slots=True)
class Row:
    """One change as the report shows it.

    :param contacts: The contacts that were there, with what is to become of each.
    :param names: What the owner and its contacts are called.
    :param companies: Its company before and after, 0 for none; ``None`` where that stays.
    """

    owner: Owner
    address: str
    outcome: str
    contacts: Contacts
    reason: str
    overwrote: bool = False
    names: OwnerNames = NAMELESS
    companies: tuple[int, int] | None = None

    @property
    def notes(self) -> list[str]:
        """What becomes of it that its contacts do not show."""
        company = [company_note(self.companies, self.names.companies)] if self.companies else []
        return [*self.contacts.notes, *company]

    @property
    def about(self) -> str:
        """In which stage the owner is, and who is responsible."""
        return about(self.names)


_TITLES: Mapping[str, str] = {
    "restore": gettext_noop("{kind} link restore"),
    "clean-up": gettext_noop("{kind} link clean-up"),
    "migration": gettext_noop("{kind} link migration"),
    "plan": gettext_noop("{kind} link plan"),
}
"""The headline of each kind of plan."""


@dataclass(frozen=True, slots=True)
class Summary:
    """All that the report says.

    :param by_rule: How many changes of each rule are what, by name of the rule.
    :param troubles: What failed, drifted or overwrote somebody's change; the first of them.
    :param biggest: The changes that alter the most links, the biggest first.
    :param changes: The first changes of the plan.
    :param planned: How many changes were to get an outcome.
    :param checked: When a check has looked at all of them since, ISO 8601; empty where none has.
    :param approval: How the question stands whether the plan may be applied; ``None`` where it was not put.
    :param contradiction: That what a task returned does not say what the decision does; empty where it does.
    :param taken_back: Which restores have taken it back since.
    :param checked_partially: Why the check may not have seen all, a sentence for each portal.
    :param wait: Which other run its apply waits for; ``None`` where it does not.
    :param times: When outcomes were noted.
    """

    manifest: Manifest
    dry_run: bool
    finished: str
    complete: bool
    counts: Mapping[str, int]
    overwritten: int
    left_out: Mapping[str, int]
    effort: ApplyCost
    troubles: Sequence[Row]
    changes: Sequence[Row]
    planned: int
    by_rule: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    biggest: Sequence[Row] = ()
    approval: Approval | None = None
    contradiction: str = ""
    checked: str = ""
    taken_back: Sequence[TakenBack] = ()
    checked_partially: Sequence[str] = ()
    wait: Wait | None = None
    times: ApplyTimes = field(default_factory=ApplyTimes)

    @property
    def partial(self) -> Sequence[str]:
        """Why plan or check may have seen a part of the portal only; each sentence once."""
        return tuple(dict.fromkeys((*self.manifest.partial, *self.checked_partially)))

    @property
    def title(self) -> str:
        """The headline: ``Lead link clean-up, dry run``."""
        title = gettext(_TITLES[self._work], **titled(self.manifest.kind))
        return gettext("{title}, dry run", title=title) if self.dry_run else title

    @property
    def is_restore(self) -> bool:
        """Whether the plan takes an earlier apply back."""
        return RESTORE in self.manifest.rules

    @property
    def _work(self) -> str:
        if self.is_restore:
            return "restore"
        rules = {*self.manifest.rules}
        noted = {note.name for note in self.manifest.rule_notes}
        if RULES.keys() | noted >= rules:
            return "clean-up"
        return "migration" if rules <= {*MIGRATIONS} else "plan"

    @property
    def hidden_links(self) -> int:
        """How often links were read by ``items.get``, because the portal leaves them out of its lists."""
        return int(self.manifest.counts.get("hidden_links", 0)) + self.effort.hidden_links

    @property
    def trouble_count(self) -> int:
        """How many changes failed, drifted or overwrote somebody's change."""
        return self.counts["failed"] + self.counts["drift"] + self.overwritten

    @property
    def open(self) -> int:
        """Changes that have no outcome yet, because the apply ended early."""
        return max(self.planned - sum(self.counts[name] for name in OUTCOMES), 0)


def summarise(
    manifest: Manifest,
    changes: Iterable[Change],
    outcomes: Iterable[ChangeOutcome],
    effort: ApplyCost,
    *,
    dry_run: bool,
    finished: str,
    planned: int | None = None,
    approval: Approval | None = None,
    contradiction: str = "",
    taken_back: Sequence[TakenBack] = (),
    checked_partially: Sequence[str] = (),
    checked: str = "",
    times: ApplyTimes | None = None,
) -> Summary:
    """Gather a summary; only as many rows are kept as the page shows.

    :param changes: In the order of the plan.
    :param outcomes: Part by part, as a journal gives them.
    :param finished: When the apply ended, ISO 8601.
    :param planned: How many changes were to get an outcome; ``None`` for all of the plan.
    :param times: When outcomes were noted, where that is known.
    """
    planned = manifest.changes if planned is None else planned
    counts: dict[str, int] = dict.fromkeys(OUTCOMES, 0)
    by_rule: dict[str, dict[str, int]] = {}
    overwritten = 0
    troubles: list[Row] = []
    rows: list[tuple[int, Row]] = []
    biggest: list[tuple[int, int, Row]] = []
    for place, change, outcome in _joined(changes, outcomes):
        state = outcome.outcome if outcome else "open"
        row: Row | None = None
        if outcome:
            counts[state] += 1
            overwritten += outcome.is_overwrite
            if outcome.needs_a_look and len(troubles) < MOST_ROWS:
                row = row_of(manifest.portal, change, outcome)
                troubles.append(row)
        if change is None:
            continue
        for rule in change.rules:
            by_rule.setdefault(rule, dict.fromkeys(STATES, 0))[state] += 1
        size = change.size
        is_big = len(biggest) < BIGGEST or (size, -place) > biggest[0][:2]
        if is_big or place < MOST_CHANGES:
            row = row or row_of(manifest.portal, change, outcome)
            if place < MOST_CHANGES:
                rows.append((place, row))
            if is_big:
                (heapq.heappush if len(biggest) < BIGGEST else heapq.heappushpop)(
                    biggest, (size, -place, row)
                )
    return Summary(
        manifest=manifest,
        dry_run=dry_run,
        finished=finished,
        complete=sum(counts.values()) >= planned,
        counts=counts,
        overwritten=overwritten,
        left_out=manifest.counts.get("left_out", {}),
        effort=effort,
        troubles=troubles,
        changes=[row for _, row in sorted(rows, key=lambda one: one[0])],
        planned=planned,
        by_rule=dict(sorted(by_rule.items())),
        biggest=[row for *_, row in sorted(biggest, key=lambda one: one[:2], reverse=True)],
        approval=approval,
        contradiction=contradiction,
        taken_back=taken_back,
        checked_partially=checked_partially,
        checked=checked,
        times=times or ApplyTimes(),
    )


def _joined(
    changes: Iterable[Change], outcomes: Iterable[ChangeOutcome]
) -> Iterator[tuple[int, Change | None, ChangeOutcome | None]]:
    """Give every change and every outcome once, with the place of the change in the plan.

    Both come part by part, so that only what is open, and the changes of one part, are held.
    """
    planned = enumerate(changes)
    passed: dict[int, tuple[int, Change]] = {}
    for outcome in outcomes:
        found = passed.pop(outcome.owner.id, None)
        while found is None and (following := next(planned, None)):
            if following[1].owner.id == outcome.owner.id:
                found = following
            else:
                passed[following[1].owner.id] = following
        place, change = found or (-1, None)
        yield place, change, outcome
    for place, change in chain(passed.values(), planned):
        yield place, change, None


TOLD = 5
"""Troubles that a log names; the page and failed.csv have more."""


def trouble_lines(summary: Summary) -> list[str]:
    """Say of the first owners that need a look what became of them: who they are, and why."""
    kind = kind_words(summary.manifest.kind)["kind"]
    lines = []
    for row in summary.troubles[:TOLD]:
        owner = " ".join(filter(None, (kind, str(row.owner.id), row.names.title)))
        told = f"{owner} ({row.about})" if row.about else owner
        lines.append(as_plain_text(f"{row.outcome}: {told}: {row.reason}"))
    return lines


def shown_owners(summary: Summary) -> set[int]:
    """Give the ids of the owners that rows of a summary are about."""
    return {row.owner.id for row in (*summary.troubles, *summary.changes, *summary.biggest)}


def with_names(summary: Summary, names: Mapping[int, OwnerNames]) -> Summary:
    """Give a summary whose rows have names.

    :param names: By id of the owner.
    """

    def of(rows: Sequence[Row]) -> list[Row]:
        return [replace(row, names=names.get(row.owner.id, NAMELESS)) for row in rows]

    troubles, changes, biggest = of(summary.troubles), of(summary.changes), of(summary.biggest)
    return replace(summary, troubles=troubles, changes=changes, biggest=biggest)


def row_of(
    portal: str, change: Change | None, outcome: ChangeOutcome | None, names: OwnerNames = NAMELESS
) -> Row:
    """Give the row of a change and its outcome, at least one of which there is."""
    owner = change.owner if change else outcome.owner  # type: ignore[union-attr]
    before = (outcome.before if outcome else None) or (change.before if change else None)
    if before and change:
        before = with_known_scalar(before, change.before)
    return Row(
        owner=owner,
        address=owner_address(portal, owner),
        outcome=outcome.outcome if outcome else "open",
        contacts=difference(before, change.after if change else None),
        reason=reason_of(change, outcome),
        overwrote=bool(outcome and outcome.is_overwrite),
        names=names,
        companies=companies_of(change, outcome) if change else None,
    )


def reason_of(change: Change | None, outcome: ChangeOutcome | None = None) -> str:
    """Give the reason as people read it: a rule by the words of its title; a dry run needs no mention."""
    reason = (outcome.reason if outcome else "") or ("; ".join(change.reasons) if change else "")
    reason = reason.removeprefix("dry run: ")
    rules = change.rules if change else ()
    for rule in rules:
        title = gettext(RULES[rule].title).partition(":")[0] if rule in RULES else rule
        named, said = f"{rule}: ", f"{title}: " if len(rules) > 1 else ""
        # Where a reason begins, and nowhere else: the name of somebody's rule may be any word.
        reason = "; ".join(
            said + one.removeprefix(named) if one.startswith(named) else one for one in reason.split("; ")
        )
    return reason


def as_json(summary: Summary) -> dict[str, Any]:
    """Give the figures of a summary, small enough for XCom."""
    effort = summary.effort
    return {
        "dry_run": summary.dry_run,
        "complete": summary.complete,
        "counts": dict(summary.counts),
        "overwritten": summary.overwritten,
        "left_out": dict(summary.left_out),
        "requests": effort.requests,
        "refused": effort.refused,
        "partial": list(summary.partial),
        "hidden_links": summary.hidden_links,
        "seconds": round(effort.seconds, 1),
        "comments": {"made": effort.comments, "refused": effort.refused_comments},
    }

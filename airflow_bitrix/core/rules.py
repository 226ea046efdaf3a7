"""Clean-up rules: what an owner's links should be, and why. Pure functions of what a scan saw."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.links import LinkSet, OwnerKind
from airflow_bitrix.core.plan import Change
from airflow_bitrix.core.states import OwnerState


@dataclass(frozen=True, slots=True)
class Wish:
    """What a rule wants of an owner.

    :param after: The wanted link set.
    :param reason: Why, as a person reads it.
    """

    after: LinkSet
    reason: str
    save: bool = False
    ends_repeat: bool = False
    may_empty: bool = False


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An owner that a rule is about, but does not touch.

    :param why: The group that it is counted under.
    :param reason: Why, as a person reads it.
    """

    why: str
    reason: str


Verdict = Wish | LeftOut | None


@dataclass(frozen=True, slots=True)
class Rule:
    """A clean-up rule.

    :param title: What it does, for forms and reports.
    :param kinds: The owners it is for.
    :param judge: Gives a wish, a reason to leave the owner out, or ``None`` where it is not concerned.
    :param filter: The narrowest ``crm.item.list`` filter that finds all owners it may concern.
    """

    title: str
    kinds: frozenset[OwnerKind]
    judge: Callable[[OwnerState], Verdict]
    filter: Mapping[str, str]


def release_repeat_leads(state: OwnerState) -> Verdict:
    """Release a repeat lead: unlink its contacts and save it, so that it can be converted to a contact again.

    A company keeps a lead a repeat lead, and a converted lead keeps its flag for good: both are left out.
    """
    if not state.is_repeat:
        return None
    if state.is_success:
        return LeftOut("converted", "already converted: the portal no longer recalculates the flag")
    if state.company_id:
        return LeftOut(
            "held by a company", f"company {state.company_id} keeps it a repeat lead whatever its contacts"
        )
    contacts = len(state.links.links)
    reason = f"repeat lead: unlink {contacts} contact{'s' * (contacts != 1)} and save"
    if not contacts:
        reason = "repeat lead without contacts: save, so that the portal takes the flag off"
    return Wish(
        LinkSet(state.owner), f"release_repeat_leads: {reason}", save=True, ends_repeat=True, may_empty=True
    )


RULES: Mapping[str, Rule] = {
    "release_repeat_leads": Rule(
        title="Release repeat leads: unlink their contacts, so that they can be converted again",
        kinds=frozenset({"lead"}),
        judge=release_repeat_leads,
        filter={"=isReturnCustomer": "Y"},
    ),
}


def rules_for(kind: OwnerKind, names: Iterable[str]) -> dict[str, Rule]:
    """Look rules up by name.

    :raises InvalidInput: An unknown name, one for other owners, or none at all.
    """
    fitting = {name: rule for name, rule in RULES.items() if kind in rule.kinds}
    accepted = f"one or more of {', '.join(fitting) or 'no rule yet'} for {kind}s"
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise InvalidInput("rules", names, f"a list of {accepted}")
    chosen = list(names)
    for name in chosen:
        if not isinstance(name, str) or name not in fitting:
            raise InvalidInput("rules", name, accepted)
    if not chosen:
        raise InvalidInput("rules", chosen, accepted)
    return {name: fitting[name] for name in chosen}


def judge(state: OwnerState, rules: Mapping[str, Rule]) -> tuple[Change | None, list[LeftOut]]:
    """Ask each rule in turn about one owner; a later rule sees what the earlier ones want.

    :return: One change with all reasons, or ``None``, and every reason to leave the owner out.
    """
    now, reasons, left_out, asked = state, [], [], []
    save = ends_repeat = may_empty = False
    for name, rule in rules.items():
        verdict = rule.judge(now)
        if isinstance(verdict, LeftOut):
            left_out.append(verdict)
        elif isinstance(verdict, Wish):
            reasons.append(verdict.reason)
            asked.append(name)
            may_empty = may_empty or verdict.may_empty
            save, ends_repeat = save or verdict.save, ends_repeat or verdict.ends_repeat
            now = OwnerState(
                verdict.after,
                is_repeat=now.is_repeat and not verdict.ends_repeat,
                company_id=now.company_id,
                stage_id=now.stage_id,
                semantic=now.semantic,
            )
    if not reasons:
        return None, left_out
    change = Change(
        state.links,
        now.links,
        tuple(reasons),
        tuple(asked),
        save=save,
        ends_repeat=ends_repeat,
        may_empty=may_empty,
    )
    return change, left_out

"""How clean-up rules judge an owner: what they may know and want, and how several make one change."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import Any, ClassVar, Self

from airflow_bitrix.core.contacts import Contact
from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.links import LinkSet, OwnerKind
from airflow_bitrix.core.numbers import as_whole
from airflow_bitrix.core.owner_states import OwnerState
from airflow_bitrix.core.phone_regions import REGIONS
from airflow_bitrix.core.plan import Change, attainable


@dataclass(frozen=True, slots=True)
class Wish:
    """What a rule wants of an owner.

    :param after: The wanted link set.
    :param reason: Why, as a person reads it.
    :param save: Whether the owner is to be saved after the write.
    :param ends_repeat: Whether the owner is to stop being a repeat lead.
    :param may_empty: Whether the owner may be left without contacts.
    :param holds: What the owner has to be still when it is written, by attribute of ``OwnerState``.
    """

    after: LinkSet
    reason: str
    save: bool = False
    ends_repeat: bool = False
    may_empty: bool = False
    holds: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An owner that a rule is about, but does not touch.

    :param why: The group that it is counted under.
    :param reason: Why, as a person reads it.
    """

    why: str
    reason: str


Verdict = Wish | LeftOut | None

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known beside the owners themselves. What nobody asked for is not in it.

    :param now: When the plan is made, with a time zone.
    :param gone: Linked contacts that are there no more.
    :param unread: Linked contacts that the webhook's user may not read, with the portal's own words.
    :param contacts: Linked contacts in full, by id.
    :param links_of: On how many leads and deals a contact hangs, by its id.
    :param holders: How many contacts hold a phone, by the phone in the form in which contacts have it.
    """

    now: datetime = _LONG_AGO
    gone: AbstractSet[int] = frozenset()
    unread: Mapping[int, str] = field(default_factory=dict)
    contacts: Mapping[int, Contact] = field(default_factory=dict)
    links_of: Mapping[int, int] = field(default_factory=dict)
    holders: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rule(ABC):
    """A clean-up rule: a pure function of an owner and of facts. Its fields are its options.

    What a rule needs to know it says itself, so that nothing is asked that no chosen rule needs. Rules only
    take contacts away or say which of them is primary; none adds one.

    :raises InvalidInput: An option that cannot be right.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    """What it does, for forms and reports."""
    kinds: ClassVar[frozenset[OwnerKind]] = frozenset({"lead", "deal"})
    """The owners that it is for."""
    wants_exact: ClassVar[bool] = False
    """Whether it judges by sorts and flags, which only ``items.get`` tells, one command an owner."""

    def __post_init__(self) -> None:
        """Read the options."""
        for one in fields(self):
            where = f"rule_options[{self.name!r}][{one.name!r}]"
            object.__setattr__(self, one.name, one.metadata["read"](where, getattr(self, one.name)))

    @classmethod
    def configured(cls, options: object) -> Self:
        """Make the rule with some of its options; the others keep their defaults.

        :param options: Values by name. ``None`` and an empty text are no values: a form sends them for a
            field that was left open.
        :raises InvalidInput: An option that there is not, or one that cannot be right.
        """
        names = [one.name for one in fields(cls)]
        where = f"rule_options[{cls.name!r}]"
        if not isinstance(options, Mapping):
            raise InvalidInput(where, options, "a map of option to value")
        for name in options:
            if name not in names:
                raise InvalidInput(where, name, f"the options {', '.join(names)}" if names else "no option")
        return cls(**{name: value for name, value in options.items() if value not in (None, "", "None")})

    @property
    def also(self) -> tuple[str, ...]:
        """Further fields of the owner that it judges by, camelCase names."""
        return ()

    @property
    def needs_whole_view(self) -> str:
        """What it makes of what the webhook's user does not see, where that does damage; else empty."""
        return ""

    @property
    def phone_region(self) -> str | None:
        """The country by whose plan it reads phones without a country code, ``None`` where it reads none.

        Empty for the portal's own.
        """
        return None

    def filter(self, now: datetime) -> Mapping[str, str]:
        """Give the narrowest ``crm.item.list`` filter that finds all owners it may concern."""
        del now
        return {}

    def seeks(self, state: OwnerState) -> Iterable[int]:
        """Give the contacts of which it wants to know whether they are there."""
        del state
        return ()

    def reads(self, state: OwnerState) -> Iterable[int]:
        """Give the contacts that it wants to know in full."""
        del state
        return ()

    def phones(self, state: OwnerState, facts: Facts) -> Iterable[str]:
        """Give the phones of which it wants to know how many contacts hold them."""
        del state, facts
        return ()

    def counts(self, state: OwnerState, facts: Facts) -> Iterable[int]:
        """Give the contacts whose leads and deals it wants counted, once they are known in full."""
        del state, facts
        return ()

    @abstractmethod
    def judge(self, state: OwnerState, facts: Facts) -> Verdict:
        """Give a wish, a reason to leave the owner out, or ``None`` where it is not concerned."""


# -- options -----------------------------------------------------------------------------------------------


def choice(*accepted: str) -> Any:
    """Give an option that is one of some words, the first by default."""

    def read(where: str, value: object) -> str:
        if value not in accepted:
            raise InvalidInput(where, value, " or ".join(repr(word) for word in accepted))
        return str(value)

    return field(default=accepted[0], metadata={"read": read})


def whole(default: int, *, most: int, least: int = 0) -> Any:
    """Give an option that is a whole number."""

    def read(where: str, value: object) -> int:
        number = as_whole(value)
        if number is None or not least <= number <= most:
            raise InvalidInput(where, value, f"a whole number from {least} to {most}")
        return number

    return field(default=default, metadata={"read": read})


def country() -> Any:
    """Give an option that is a country by whose plan phones are read; empty for the portal's own."""

    def read(where: str, value: object) -> str:
        code = value.strip().upper() if isinstance(value, str) else None
        if code is None or (code and code not in REGIONS):
            accepted = "the two letters of a country, such as 'RU' or 'DE', or nothing for the portal's own"
            raise InvalidInput(where, value, accepted)
        return code

    return field(default="", metadata={"read": read})


def switch(*, default: bool) -> Any:
    """Give an option that is on or off."""

    def read(where: str, value: object) -> bool:
        if not isinstance(value, bool) and value not in ("True", "False"):
            raise InvalidInput(where, value, "True or False")
        return value in (True, "True")

    return field(default=default, metadata={"read": read})


# -- judging -----------------------------------------------------------------------------------------------

WOULD_BE_EMPTY = "would be left without contacts"


def judge(
    state: OwnerState, rules: Mapping[str, Rule], facts: Facts | None = None
) -> tuple[Change | None, list[LeftOut]]:
    """Ask each rule in turn about one owner; a later rule sees the owner as the earlier ones leave it.

    An owner that would be left without contacts, though none of the rules that asked says that it may be, is
    left out.

    :param facts: What the rules asked for; by default nothing is known.
    :return: One change with all reasons, or ``None``, and every reason to leave the owner out. The change may
        be carried out where :func:`is_ready`; else it tells that the owner is worth a closer look.
    """
    known = facts or Facts()
    now, left_out = state, []
    wishes: dict[str, Wish] = {}
    for name, rule in rules.items():
        verdict = rule.judge(now, known)
        if isinstance(verdict, LeftOut):
            left_out.append(verdict)
        elif verdict:
            wishes[name] = verdict
            is_repeat = now.is_repeat and not verdict.ends_repeat
            now = replace(now, links=verdict.after, is_repeat=is_repeat)
    if not wishes:
        return None, left_out
    change = Change(
        state.links,
        attainable(state.links, now.links),
        tuple(wish.reason for wish in wishes.values()),
        tuple(wishes),
        save=any(wish.save for wish in wishes.values()),
        ends_repeat=any(wish.ends_repeat for wish in wishes.values()),
        may_empty=any(wish.may_empty for wish in wishes.values()),
        holds={name: value for wish in wishes.values() for name, value in wish.holds.items()},
    )
    if change.empties and not change.may_empty:
        return None, [
            *left_out,
            LeftOut(WOULD_BE_EMPTY, f"no rule says that it may: {'; '.join(change.reasons)}"),
        ]
    return change, left_out


def is_ready(change: Change) -> bool:
    """Whether a change can be planned: where links stay, their sorts, flags and roles have to be known."""
    return not change.after.links or change.before.is_exact

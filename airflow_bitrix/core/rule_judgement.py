"""How clean-up rules judge an owner: what they may know and want, and how several make one change."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import Field, dataclass, field, fields, replace
from datetime import UTC, datetime
from functools import partial
from inspect import isabstract
from typing import Any, ClassVar, Self, TypeVar, dataclass_transform

from airflow_bitrix.core.contacts import Company, Contact, Means
from airflow_bitrix.core.errors import LONGEST_MESSAGE, InvalidInput
from airflow_bitrix.core.families import row_of
from airflow_bitrix.core.foreign_text import as_plain_text
from airflow_bitrix.core.languages import gettext, gettext_noop
from airflow_bitrix.core.link_writes import attainable
from airflow_bitrix.core.links import OWNER_ROWS, LinkSet, Owner, OwnerKind
from airflow_bitrix.core.owner_states import OwnerState
from airflow_bitrix.core.plan import Change
from airflow_bitrix.core.rule_options import Read, is_needed, readers_of

T = TypeVar("T")


HOLDABLE = ("company_id", "stage_id", "semantic", "is_repeat")
"""What a change can count on an owner to be still: what each look at it tells."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a rule wants of an owner.

    :param after: The wanted link set.
    :param reason: Why, as a person reads it.
    :param save: Whether the owner is to be saved after the write.
    :param ends_repeat: Whether the owner is to stop being a repeat lead.
    :param may_empty: Whether the owner may be left without contacts.
    :param holds: What the owner has to be still when it is written, by one of :data:`HOLDABLE`.
    :param drops_company: Whether the owner is saved without its company, where it has one.
    """

    after: LinkSet
    reason: str
    save: bool = False
    ends_repeat: bool = False
    may_empty: bool = False
    holds: Mapping[str, Any] = field(default_factory=dict)
    drops_company: bool = False


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An owner that a rule is about, but does not touch.

    :param why: The group that it is counted under.
    :param reason: Why, as a person reads it.
    :param raised: Whether a rule raised an error.
    """

    why: str
    reason: str
    raised: bool = False


Verdict = Wish | LeftOut | None

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known beside the owners themselves. What nobody asked for is not in it.

    :param now: When the plan is made, with a time zone.
    :param gone: Contacts that are there no more.
    :param unread: Contacts that the webhook's user may not read, with the portal's own words.
    :param contacts: Contacts in full, by id; without those that a list does not show.
    :param links_of: On how many leads and deals a contact hangs, by its id.
    :param holders: The contacts that hold a phone or an e-mail, the first twenty by id; by the phone or
        e-mail in the form in which contacts have it. The portal compares phones more loosely than that: who
        has to be sure asks for these contacts in full.
    :param companies: Companies by id; without those that the user may not read.
    :param means: The phones and e-mails of leads themselves, by the lead.
    """

    now: datetime = _LONG_AGO
    gone: AbstractSet[int] = frozenset()
    unread: Mapping[int, str] = field(default_factory=dict)
    contacts: Mapping[int, Contact] = field(default_factory=dict)
    links_of: Mapping[int, int] = field(default_factory=dict)
    holders: Mapping[str, AbstractSet[int]] = field(default_factory=dict)
    companies: Mapping[int, Company] = field(default_factory=dict)
    means: Mapping[Owner, Means] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Needs:
    """What a rule has to know to judge an owner.

    :param contacts: Contacts that it wants to know in full.
    :param presence: Contacts of which it wants to know whether they are there.
    :param links_of: Contacts whose leads and deals it wants counted.
    :param holders: Phones and e-mails of which it wants to know what contacts hold them.
    :param companies: Companies that it wants to know.
    :param means: Whether it wants the phones and e-mails of the owner itself; deals have none.
    """

    contacts: Iterable[int] = ()
    presence: Iterable[int] = ()
    links_of: Iterable[int] = ()
    holders: Iterable[str] = ()
    companies: Iterable[int] = ()
    means: bool = False


NOTHING = Needs()


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Rule(ABC):
    """A clean-up rule: a pure function of an owner and of facts.

    A rule is a class with a ``name``, a ``title`` and :meth:`judge`. Whatever it annotates is an option,
    ``days: int = 30``; it takes no decorator. What it has to know of the portal it says by :meth:`needs`, so
    that nothing is asked that no chosen rule needs.

    :raises InvalidInput: An option that cannot be right; or a class that cannot be a rule.
    """

    name: ClassVar[str] = ""
    """What plans, files and options call it: small letters, digits and underscores."""
    title: ClassVar[str] = ""
    """What it does, for forms and reports; the words before a colon stand for it where room is little."""
    kinds: ClassVar[AbstractSet[OwnerKind]] = frozenset(OWNER_ROWS)
    """The owners that it is for; ``dynamic`` are those of smart processes."""
    version: ClassVar[str] = ""
    """What a plan notes of which version of the rule made it; of a registered rule it notes the package's."""
    wants_exact: ClassVar[bool] = False
    """Whether it judges by sorts and flags, which only ``items.get`` tells, one command an owner."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Make fields of what a rule annotates."""
        super().__init_subclass__(**kwargs)
        dataclass(frozen=True, kw_only=True)(cls)

    def __post_init__(self) -> None:
        """Read the options."""
        for name, read in self.readers().items():
            where = f"rule_options[{self.name!r}][{name!r}]"
            object.__setattr__(self, name, read(where, getattr(self, name)))
        if isinstance(self.also, str) or not all(isinstance(one, str) for one in self.also):
            raise InvalidInput(f"{type(self).__name__}.also", self.also, gettext("a list of names of fields"))

    @classmethod
    def readers(cls) -> dict[str, Read]:
        """Give what reads each option.

        :raises InvalidInput: The class cannot be a rule.
        """
        _check_class(cls)
        return readers_of(cls, _NO_OPTIONS)

    @classmethod
    def is_for(cls, kind: OwnerKind) -> bool:
        """Whether it is for owners of a kind."""
        return row_of(kind) in cls.kinds

    @classmethod
    def configured(cls, options: object) -> Self:
        """Make the rule with some of its options; the others keep their defaults.

        :param options: Values by name. ``None`` and an empty text are no values: a form sends them for a
            field that was left open.
        :raises InvalidInput: An option that there is not, or one that cannot be right.
        """
        where = f"rule_options[{cls.name!r}]"
        names = [*cls.readers()]
        if not isinstance(options, Mapping):
            raise InvalidInput(where, options, gettext("a map of option to value"))
        for name in options:
            if name not in names:
                accepted = gettext("the options {options}", options=", ".join(names))
                raise InvalidInput(where, name, accepted if names else gettext("no option"))
        given = {name: value for name, value in options.items() if value not in (None, "", "None")}
        for one in fields(cls):
            if is_needed(one) and one.name not in given:
                accepted = gettext("a value, as it has no default")
                raise InvalidInput(f"{where}[{one.name!r}]", options.get(one.name), accepted)
        return cls(**given)

    @property
    def also(self) -> Sequence[str]:
        """Further fields of the owner that it judges by, camelCase names; they come in ``state.fields``."""
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

    def needs(self, state: OwnerState, facts: Facts) -> Needs:
        """Say what it has to know to judge an owner.

        It is asked again with each answer, as long as it wants more: who needs to know what contacts hold the
        phone of a contact asks for the contact first.
        """
        del state, facts
        return NOTHING

    @abstractmethod
    def judge(self, state: OwnerState, facts: Facts) -> Verdict:
        """Give a wish, a reason to leave the owner out, or ``None`` where it is not concerned."""


_NO_OPTIONS = frozenset(name for name in vars(Rule) if not name.startswith("_"))
_NAME = re.compile(r"[a-z][a-z0-9_]{0,59}")
_LONGEST_TITLE = 200


def _check_class(rule: type[Rule]) -> None:
    """Refuse a class that cannot be a rule."""
    where = rule.__name__
    if isabstract(rule):
        raise InvalidInput("rules", where, gettext("a class with a method judge(self, state, facts)"))
    if not isinstance(rule.name, str) or not _NAME.fullmatch(rule.name):
        accepted = gettext("up to 60 small letters, digits and underscores, a letter first")
        raise InvalidInput(f"{where}.name", rule.name, accepted)
    title = rule.title
    if not isinstance(title, str) or not title.strip() or as_plain_text(title, _LONGEST_TITLE) != title:
        accepted = gettext("one line that says what it does, of at most {most} signs", most=_LONGEST_TITLE)
        raise InvalidInput(f"{where}.title", title, accepted)
    kinds = rule.kinds
    if not isinstance(kinds, (set, frozenset)) or not kinds or not kinds <= {*OWNER_ROWS}:
        accepted = gettext("a set of one or more of {kinds}", kinds=", ".join(map(repr, OWNER_ROWS)))
        raise InvalidInput(f"{where}.kinds", kinds, accepted)


# -- judging -----------------------------------------------------------------------------------------------

WOULD_BE_EMPTY = gettext_noop("would be left without contacts")


def judge(
    state: OwnerState, rules: Mapping[str, Rule], facts: Facts | None = None
) -> tuple[Change | None, list[LeftOut]]:
    """Ask each rule in turn about one owner; a later rule sees the owner as the earlier ones leave it.

    An owner that would be left without contacts, though none of the rules that asked says that it may be, is
    left out. So is one of which a rule raised an error, whatever the others say.

    :param facts: What the rules asked for; by default nothing is known.
    :return: One change with all reasons, or ``None``, and every reason to leave the owner out. The change may
        be carried out where :func:`is_ready`; else it tells that the owner is worth a closer look.
    """
    known = facts or Facts()
    now, left_out = state, []
    wishes: dict[str, Wish] = {}
    for name, rule in rules.items():
        verdict = guarded(name, partial(_verdict, rule, now, known))
        if isinstance(verdict, LeftOut):
            if verdict.raised:
                return None, [verdict]
            left_out.append(verdict)
        elif verdict:
            wishes[name] = verdict
            is_repeat = now.is_repeat and not verdict.ends_repeat
            company_id = 0 if verdict.drops_company else now.company_id
            now = replace(now, links=verdict.after, is_repeat=is_repeat, company_id=company_id)
    if not wishes:
        return None, left_out
    company: dict[str, Any] = {}
    holds = {name: value for wish in wishes.values() for name, value in wish.holds.items()}
    if now.company_id != state.company_id:
        company, holds["company_id"] = {"company": now.company_id, "save": True}, state.company_id
    change = Change(
        state.links,
        attainable(state.links, now.links),
        tuple(f"{name}: {wish.reason}" for name, wish in wishes.items()),
        tuple(wishes),
        ends_repeat=any(wish.ends_repeat for wish in wishes.values()),
        may_empty=any(wish.may_empty for wish in wishes.values()),
        holds=holds,
        **{"save": any(wish.save for wish in wishes.values()), **company},
    )
    if why_not := _refused(change):
        return None, [*left_out, why_not]
    return change, left_out


def _refused(change: Change) -> LeftOut | None:
    """Give why a change that rules came to is not planned."""
    reasons = "; ".join(change.reasons)
    if change.empties and not change.may_empty:
        said = gettext("no rule says that it may: {reasons}", reasons=reasons)
        return LeftOut(WOULD_BE_EMPTY, said)
    if change.ends_repeat and change.after.links:
        said = gettext("a lead with contacts stays a repeat lead: {reasons}", reasons=reasons)
        return LeftOut(gettext_noop("rules contradict each other"), said)
    return None


def guarded(name: str, ask: Callable[[], T]) -> T | LeftOut:
    """Ask a rule; where it raises an error, whichever it is, the owner is left out for it."""
    try:
        return ask()
    except Exception as error:  # noqa: BLE001 (a rule is anybody's code)
        said = as_plain_text(f"{type(error).__name__}: {as_plain_text(error)}")
        reason = gettext("{rule} raised {error}", rule=name, error=said)
        return LeftOut(gettext_noop("a rule failed"), reason, raised=True)


def _verdict(rule: Rule, state: OwnerState, facts: Facts) -> Verdict:
    """Give what a rule says, once it is something that a rule may say, in words that may be shown.

    :raises TypeError: It is none of that. Likewise ``ValueError``.
    """
    verdict = rule.judge(state, facts)
    if verdict is None:
        return None
    if isinstance(verdict, LeftOut):
        return LeftOut(_words(verdict.why, _LONGEST_GROUP), _words(verdict.reason), verdict.raised)
    if not isinstance(verdict, Wish):
        gave = type(verdict).__name__
        raise TypeError(gettext("judge gave {gave}, and neither Wish, LeftOut nor None", gave=gave))
    after = verdict.after
    if not isinstance(after, LinkSet) or after.owner != state.owner:
        wanted = repr(getattr(after, "owner", after))
        raise TypeError(gettext("it wants links of {owner} for {state}", owner=wanted, state=state.owner))
    LinkSet.from_json(after.owner, after.as_json(), after.scalar_id)
    if unknown := [one for one in verdict.holds if one not in HOLDABLE]:
        known = ", ".join(HOLDABLE)
        raise ValueError(gettext("holds {name}, and only {known} can be held", name=unknown[0], known=known))
    for name, wanted in verdict.holds.items():
        is_now = getattr(state, name)
        if type(wanted) is not type(is_now) or wanted != is_now:
            about = {"name": name, "wanted": as_plain_text(wanted, spelt=repr), "now": repr(is_now)}
            raise ValueError(gettext("holds {name} {wanted}, which is {now} now", **about))
    return replace(verdict, reason=_words(verdict.reason))


_LONGEST_GROUP = 100


def _words(text: object, longest: int = LONGEST_MESSAGE) -> str:
    if not isinstance(text, str) or not text.strip():
        raise TypeError(gettext("a reason is a text, not {given}", given=as_plain_text(text, spelt=repr)))
    return as_plain_text(text, longest)


def is_ready(change: Change) -> bool:
    """Whether a change can be planned: where links stay, their sorts, flags and roles have to be known."""
    return not change.after.links or change.before.is_exact

"""The options of anybody's rule: read by their types, refused in one sentence; and what cannot be a rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import pytest

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.rules import Facts, LeftOut, Needs, Rule, judge, rules_for
from airflow_bitrix.rules import LinkSet, Owner, OwnerState, Verdict, Wish, whole


class Quiet(Rule):
    """A rule that wants nothing."""

    name = "quiet"
    title = "Quiet: want nothing"

    days: int = 30
    share: float = 0.5
    strict: bool = False
    mode: Literal["all", "some"] = "all"
    word: str = ""
    stages: tuple[str, ...] = ()
    most: int | None = None
    few: int = whole(3, most=5)

    def judge(self, state: OwnerState, facts: Facts) -> Verdict:
        del state, facts
        return None


class Needy(Quiet):
    """A rule with an option that somebody has to give."""

    name = "needy"
    field: str


def test_options_are_read_by_their_types_as_templates_and_forms_give_them() -> None:
    given = {"days": "7", "share": "0.25", "strict": "True", "mode": "some", "stages": ["NEW"], "most": 4.0}
    rule = Quiet.configured({**given, "few": "5", "word": None})
    assert rule == Quiet(days=7, share=0.25, strict=True, mode="some", stages=("NEW",), most=4, few=5)
    assert Quiet.configured({}) == Quiet()
    assert Quiet(most=None).most is None


@pytest.mark.parametrize(
    ("option", "value", "accepted"),
    [
        ("days", "soon", "a whole number from -1000000000 to 1000000000"),
        ("days", True, "a whole number"),
        ("days", 1.5, "a whole number"),
        ("share", "half", "a number from"),
        ("share", float("nan"), "a number from"),
        ("strict", "yes", "True or False"),
        ("mode", "none", "'all' or 'some'"),
        ("word", 5, "a text of at most"),
        ("stages", "NEW", "a list of at most"),
        ("stages", [5], "a text of at most"),
        ("most", "x", "a whole number"),
        ("few", 6, "a whole number from 0 to 5"),
    ],
)
def test_an_option_that_cannot_be_right_is_told_with_rule_option_value_and_what_is_accepted(
    option: str, value: Any, accepted: str
) -> None:
    makers: list[Callable[[], Rule]] = [
        lambda: Quiet.configured({option: value}),
        lambda: Quiet(**{option: value}),
    ]
    for make in makers:
        with pytest.raises(InvalidInput) as caught:
            make()
        assert str(caught.value).startswith(f"rule_options['quiet']['{option}']: ")
        assert f"is not accepted; accepted: {accepted}" in str(caught.value)


def test_an_option_without_a_default_has_to_be_given() -> None:
    with pytest.raises(InvalidInput, match=r"^rule_options\['needy'\]\['field'\]: None .*no default$"):
        rules_for("lead", [Needy])
    assert rules_for("lead", [Needy], {"needy": {"field": "x"}})["needy"] == Needy(field="x")


def made(**members: Any) -> type[Rule]:
    """Make a class of a rule that lacks, or has, something."""
    given = {"name": "odd", "title": "Odd", "judge": Quiet.judge, "__module__": __name__, **members}
    return type("Odd", (Rule,), given)


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"name": ""}, "Odd.name: '' is not accepted"),
        ({"name": "Not a name"}, "Odd.name: 'Not a name' is not accepted"),
        ({"name": "fix_primary"}, "rules: 'fix_primary' is not accepted"),
        ({"name": "restore"}, "rules: 'restore' is not accepted"),
        ({"title": " "}, "Odd.title: ' ' is not accepted"),
        ({"title": "two\nlines"}, r"Odd.title: 'two\nlines' is not accepted"),
        ({"title": "a" * 201}, "Odd.title: "),
        ({"kinds": {"contact"}}, "Odd.kinds: {'contact'} is not accepted"),
        ({"kinds": "lead"}, "Odd.kinds: 'lead' is not accepted"),
        ({"judge": Rule.judge}, "rules: 'Odd' is not accepted; accepted: a class with a method judge"),
        ({"also": "title"}, "Odd.also: 'title' is not accepted; accepted: a list of names of fields"),
        ({"__annotations__": {"by": "dict"}, "by": None}, "Odd.by: 'dict' is not accepted; accepted: bool,"),
        ({"__annotations__": {"kinds": "Any"}, "kinds": frozenset({"lead"})}, "Odd.kinds: "),
        ({"__annotations__": {"by": "Unknown"}, "by": 1}, "rules: 'Odd' is not accepted; accepted: annot"),
    ],
)
def test_a_class_that_cannot_be_a_rule_is_refused_and_named(members: Any, said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        rules_for("lead", [made(**members)])
    assert str(caught.value).startswith(said)


def test_rules_are_given_by_name_as_classes_and_as_objects_and_asked_in_one_order() -> None:
    other = made(name="other")
    registered = {"b": made(name="b"), "a": made(name="a")}
    chosen = [other, "b", Quiet(days=1), "fix_primary", "a"]
    rules = rules_for("lead", chosen, {"other": None}, registered)
    assert list(rules) == ["fix_primary", "a", "b", "other", "quiet"]
    assert rules["quiet"] == Quiet(days=1)


@pytest.mark.parametrize(
    ("chosen", "options", "said"),
    [
        ([Quiet, Quiet(days=2)], None, "rules: 'quiet' is not accepted; accepted: rules whose names"),
        ([made(name="a"), "a"], None, "rules: 'a' is not accepted"),
        (["a", made(name="a")], None, "rules: 'a' is not accepted; accepted: rules whose names"),
        (["nobody"], None, "rules: 'nobody' is not accepted; accepted: one or more of release_repeat_leads"),
        ([made(kinds={"deal"})], None, "rules: 'odd' is not accepted; accepted: one or more of"),
        ([Quiet()], {"quiet": {"days": 3}}, "rule_options: 'quiet' is not accepted; accepted: options of"),
        ([Quiet], {"quiet": {"day": 3}}, "rule_options['quiet']: 'day' is not accepted"),
        ([Quiet], {"silent": {}}, "rule_options: 'silent' is not accepted"),
        ([int], None, "rules: <class 'int'> is not accepted"),
    ],
)
def test_rules_that_do_not_go_together_are_refused(chosen: Any, options: Any, said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        rules_for("lead", chosen, options, {"a": made(name="a")})
    assert str(caught.value).startswith(said)


# -- what a rule says --------------------------------------------------------------------------------------

OWNER = Owner("deal", 6)
STATE = OwnerState(LinkSet.of_ids(OWNER, [7, 8], 7))


def saying(verdict: Any) -> tuple[Any, list[LeftOut]]:
    def judged(self: Rule, state: OwnerState, facts: Facts) -> Any:
        del self, state, facts
        if isinstance(verdict, BaseException):
            raise verdict
        return verdict

    fixed = rules_for("deal", ["fix_primary"])
    return judge(STATE, {**fixed, "odd": made(judge=judged)()})


@pytest.mark.parametrize(
    ("verdict", "reason"),
    [
        (ZeroDivisionError("division by zero"), "odd raised ZeroDivisionError: division by zero"),
        (KeyError("x"), "odd raised KeyError: 'x'"),
        ("yes", "odd raised TypeError: judge gave str, and neither Wish, LeftOut nor None"),
        (Wish([7], "why"), "odd raised TypeError: it wants links of [7] for deal 6"),  # type: ignore[arg-type]
        (Wish(LinkSet(Owner("deal", 9)), "why"), "odd raised TypeError: it wants links of Owner("),
        (Wish(LinkSet.of_ids(OWNER, [0]), "why"), "odd raised ValueError: "),
        (Wish(LinkSet.of_ids(OWNER, [7]), " "), "odd raised TypeError: a reason is a text, not ' '"),
        (LeftOut("", "why"), "odd raised TypeError: a reason is a text, not ''"),
        (LeftOut("why", None), "odd raised TypeError: a reason is a text, not None"),  # type: ignore[arg-type]
        (Wish(LinkSet.of_ids(OWNER, [7, 7]), "why"), "odd raised ValueError: "),
        (
            Wish(LinkSet.of_ids(OWNER, [7]), "why", holds={"title": "x"}),
            "odd raised ValueError: holds title, and only company_id",
        ),
        (
            Wish(LinkSet.of_ids(OWNER, [7]), "why", holds={"stage_id": {"NEW"}}),
            "odd raised ValueError: holds stage_id {'NEW'}, which is '' now",
        ),
        (
            Wish(LinkSet.of_ids(OWNER, [7]), "why", holds={"company_id": "0"}),
            "odd raised ValueError: holds company_id '0', which is 0 now",
        ),
    ],
)
def test_a_rule_that_raises_or_says_what_no_rule_may_leaves_the_owner_out(verdict: Any, reason: str) -> None:
    change, left_out = saying(verdict)
    assert change is None
    assert [(one.why, one.raised) for one in left_out] == [("a rule failed", True)]
    assert left_out[0].reason.startswith(reason)


@pytest.mark.attack
def test_what_an_error_says_is_cut_plain_and_without_secrets() -> None:
    secret = "https://acme.bitrix24.com/rest/1/abcdef1234567890/"
    _, left_out = saying(ValueError(f"{secret}\n\x1b[2J {'x' * 100_000}"))
    assert "abcdef1234567890" not in left_out[0].reason
    assert len(left_out[0].reason) < 1100
    assert left_out[0].reason.isprintable()


@pytest.mark.attack
def test_what_a_rule_says_is_cut_and_plain() -> None:
    _, left_out = saying(LeftOut("who\x1b[2J " * 1000, "why\n" * 10_000))
    assert (len(left_out[-1].why), len(left_out[-1].reason)) == (100, 4000)
    assert (left_out[-1].why + left_out[-1].reason).isprintable()
    change, _ = saying(Wish(LinkSet.of_ids(OWNER, [7], 7), "=cmd()\u202e " * 1000))
    assert change is not None
    assert change.reasons[-1].isprintable()
    assert len(change.reasons[-1]) < 4100


def test_rules_that_contradict_each_other_leave_the_owner_out() -> None:
    class Add(Quiet):
        name = "add"

        def judge(self, state: OwnerState, facts: Facts) -> Verdict:
            del facts
            return Wish(LinkSet.of_ids(state.owner, [9], 9), "link 9")

    state = OwnerState(LinkSet.of_ids(Owner("lead", 5), [7], 7), is_repeat=True)
    change, left_out = judge(state, rules_for("lead", ["release_repeat_leads", Add]))
    assert change is None
    assert [one.why for one in left_out] == ["rules contradict each other"]


def test_what_nothing_is_needed_for_is_nothing() -> None:
    assert Quiet().needs(STATE, Facts()) == Needs()

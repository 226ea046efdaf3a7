"""What an argument accepts, and what an empty one means, found out by the code that checks it.

A task is made of arguments that are right. One of them is given something else, and what the task does before
it asks anybody is done: it refuses it, or takes it for a value. No request is sent.
"""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Union, get_args, get_origin, get_type_hints

from airflow.sdk import BaseOperator, XComArg
from jinja2 import StrictUndefined, UndefinedError

from airflow_bitrix.compat import AirflowSkipException
from airflow_bitrix.core.errors import InvalidInput, PlanRefused
from airflow_bitrix.core.rule_judgement import Rule
from scripts.argument_examples import EXAMPLES

ROOMS = ("airflow_bitrix.operators", "airflow_bitrix.sensors")
"""Where classes lie that take arguments."""

EMPTY: Sequence[Any] = ("", None, "None")
"""What an empty argument may be: an empty text, what a template gives that gives nothing, and its text."""

WRONG: Sequence[Any] = (..., "?", -1, 0, 10**30, ["?"])
"""What arguments do not take, each of them most of these: the errors tell what is accepted."""

UNDEFINED = StrictUndefined(name="nothing")
"""What a template hands on in a DAG with native objects where it names what there is not."""

REFUSED, SKIPPED = "refused", "the task is skipped"

WHERE_NEEDED = "refused where it counts"
"""What becomes of an empty argument whose default is as empty, where it is needed beside others."""


class FindingError(AssertionError):
    """An argument that is not checked, or whose empty value means something that nobody would expect."""


@dataclass(frozen=True)
class Subject:
    """An operator, and how it is tried.

    :param operator: The class.
    :param given: Arguments that it needs at least.
    :param read: Reads all of its arguments as its task does before it asks anybody; gives what they come to.
    :param examples: A value by argument that is accepted, and means something else than the default. What has
        none does not count with this operator.
    :param beside: Other arguments beside which one counts, by its name.
    """

    operator: type[BaseOperator]
    given: Mapping[str, Any]
    read: Callable[[Any], Any]
    examples: Mapping[str, Any]
    beside: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def taken(self, name: str, value: Any) -> str:
        """Give what all arguments are taken for where one of them has this value.

        :raises InvalidInput: It is refused.
        """
        given = {**self.given, **self.beside.get(name, {})}
        if name not in self.operator.template_fields:
            return repr(self.read(self.operator(**given, task_id="task", **{name: value})))
        task = self.operator(**{**given, name: "{{ later }}"}, task_id="task")
        setattr(task, name, value)  # as it is when the task runs
        return repr(self.read(task))


@dataclass(frozen=True)
class RuleSubject:
    """A clean-up rule, whose options are tried as those of operators are."""

    operator: type[Rule]
    examples: Mapping[str, Any]

    def taken(self, name: str, value: Any) -> str:
        """Give what all options are taken for where one of them has this value.

        :raises InvalidInput: It is refused.
        """
        return repr(self.operator.configured({name: value}))


@dataclass(frozen=True)
class Argument:
    """A row of the tables.

    :param empty: What becomes of each of ``EMPTY``.
    :param bare: What becomes of a list, or a dict, with nothing in it.
    :param example: A value that it was tried with, as an author writes it, in Markdown.
    """

    name: str
    about: str
    may_be: str
    accepted: str = ""
    empty: tuple[str, ...] = ("",) * len(EMPTY)
    bare: str = ""
    example: str = ""


def classes_of(operator: type) -> dict[type, list[str]]:
    """Give the classes of ours that take arguments of an operator, the nearest first, with the arguments."""
    found: dict[type, list[str]] = {}
    seen: set[str] = set()
    for one in operator.__mro__:
        if one.__module__.startswith(ROOMS) and "__init__" in vars(one):
            names = [
                each.name
                for each in inspect.signature(vars(one)["__init__"]).parameters.values()
                if each.kind is each.KEYWORD_ONLY and each.name not in seen
            ]
            seen.update(names)
            found[one] = names
    return {one: names for one, names in found.items() if names}


def probed(subject: Subject | RuleSubject, owner: type, name: str) -> Argument:
    """Try an argument that a class takes.

    :raises FindingError: It is not checked, or an empty value of it has a meaning that the docstring does not
        tell.
    """
    where = f"{subject.operator.__name__}.{name}"
    default = inspect.signature(owner.__init__).parameters[name].default  # type: ignore[misc]
    is_needed = default is inspect.Parameter.empty
    usual = "" if is_needed else _taken_or_refused(subject, name, default)
    if subject.taken(name, subject.examples[name]) == usual:
        raise FindingError(f"{where}: {subject.examples[name]!r} changes nothing")
    if (taken := _taken_or_refused(subject, name, UNDEFINED)) != REFUSED:
        raise FindingError(f"{where}: what is undefined is taken for {taken}")
    about = described(owner, name)
    nothing = _taken_or_refused(subject, name, None)

    def become(value: object) -> str:
        taken = _taken_or_refused(subject, name, value)
        if taken == usual == REFUSED:
            return WHERE_NEEDED
        if taken in (REFUSED, SKIPPED):
            return taken
        if taken == usual and not _is_empty(default):
            return f"the default, `{default!r}`"
        if taken in (usual, nothing):
            return _left_open(where, about)
        raise FindingError(f"{where}: {value!r} is taken for {taken}")

    if not (accepted := _accepted(subject, name)):
        raise FindingError(f"{where}: nothing is refused")
    kinds = list(_types(get_type_hints(owner.__init__)[name]))  # type: ignore[misc]
    may_be = f"{', '.join(kinds)}; {'needed' if is_needed else f'`{default!r}` by default'}"
    bare = (
        become([])
        if "list" in kinds and name not in _NONE_OF_IT
        else become({})
        if kinds[0] == "dict"
        else ""
    )
    known = EXAMPLES.get(where) or EXAMPLES.get(name)
    example = known or f"`{_written(subject.examples[name])}`"
    return Argument(name, about, may_be, accepted, tuple(map(become, EMPTY)), bare, example)


_NONE_OF_IT = ("contact_map", "company_map", "owner_map", "part", "exactly")
"""Arguments of which an empty list is what it says: none of them."""


def _written(value: object) -> str:
    """Give a value as an author writes it."""
    return repr(value).replace("'", '"').replace("datetime.", "")


def _is_empty(value: object) -> bool:
    return value is None or value in ("", ())


def _taken_or_refused(subject: Subject | RuleSubject, name: str, value: Any) -> str:
    try:
        return subject.taken(name, value)
    except (InvalidInput, PlanRefused, UndefinedError):
        return REFUSED
    except AirflowSkipException:
        return SKIPPED


_LEFT_OPEN = re.compile(r"(?:``None``(?: or 0)?|[Ee]mpty|[Bb]y default)[:,]? (?:for )?([^.;(]+)")


def _left_open(where: str, about: str) -> str:
    """Give what the docstring says of an argument that is left open."""
    found = _LEFT_OPEN.search(about)
    if not found:
        raise FindingError(f"{where}: its docstring does not say what None means: {about}")
    return found[1].strip()


_HINT = re.compile(r" \((?:in (?:a|the) [^)]*|it cannot be read)\)")


def _accepted(subject: Subject | RuleSubject, name: str) -> str:
    """Give what the errors say is accepted that are about the argument itself, each once."""
    found: list[str] = []
    for value in WRONG:
        try:
            subject.taken(name, value)
        except InvalidInput as error:
            said = _HINT.sub("", error.accepted)
            if re.search(rf"\b{name}\b", error.argument) and not any(said in one for one in found):
                found = [one for one in found if one not in said] + [said]
        except PlanRefused:
            pass
    return "; ".join(found)


_NAMES = {"Mapping": "dict", "Sequence": "list", "NoneType": "None", "float": "number", "str": "text"}


def _types(hint: Any) -> Iterator[str]:
    for one in get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,):
        if one is not XComArg:
            name = (get_origin(one) or one).__name__
            yield _NAMES.get(name, name)


_PARAM = re.compile(r":param (\w+): (.+?)(?=\n\s*:(?:param|raises)|\n\n|\Z)", re.DOTALL)


def parameters_of(owner: Callable[..., Any]) -> Iterator[tuple[str, str]]:
    """Give each parameter that the docstring of a class or its ``__init__`` tells of, and what it says."""
    for text in (owner.__doc__, owner.__init__.__doc__):
        for found in _PARAM.finditer(text or ""):
            yield found[1], re.sub(r"\s+", " ", found[2]).strip().removesuffix(" (templated)")


def described(owner: Callable[..., Any], name: str) -> str:
    """Give what the docstring of a class, or of its ``__init__``, says of an argument."""
    for told, about in parameters_of(owner):
        if told == name:
            return about
    raise FindingError(f"{owner.__qualname__}: its docstring does not tell what {name} is")

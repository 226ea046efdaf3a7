"""The tables of arguments and form fields: what they say is what the code does, and nothing is missing."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import BaseOperator

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.get_provider_info import get_provider_info
from airflow_bitrix.operators import contact_links, link_plans
from airflow_bitrix.operators.contact_links import Bitrix24Operator
from airflow_bitrix.operators.shared.parameters import is_nothing
from airflow_bitrix.pipelines.carry_out import carry_out
from airflow_bitrix.sensors import contact_links as link_sensors
from airflow_bitrix.sensors import records
from scripts.argument_probes import ROOMS, FindingError, Subject, classes_of, probed
from scripts.argument_tables import PAGE, ROOT, page
from scripts.reference_pages import pages

WRITTEN = PAGE.read_text(encoding="utf-8")

OPERATORS = [
    operator
    for module in (contact_links, link_plans, link_sensors, records)
    for name in module.__all__
    if (operator := getattr(module, name)) is not Bitrix24Operator
]


def test_the_page_is_what_the_code_makes_of_it_now() -> None:
    assert page() == WRITTEN, "make arguments writes the page anew"


@pytest.mark.parametrize(("path", "made"), pages().items(), ids=lambda one: getattr(one, "stem", ""))
def test_pages_about_settings_and_files_are_what_the_code_makes_of_them_now(path: Path, made: str) -> None:
    assert made == path.read_text(encoding="utf-8"), "make arguments writes the page anew"


def test_every_argument_has_an_example() -> None:
    tables = WRITTEN.partition("## Operators")[2].partition("## Form fields")[0]
    rows = re.findall(r"^\| (`\w+`) \| .*? \| (.*?) \|", tables, re.MULTILINE)
    assert len(rows) > len(OPERATORS)
    assert [name for name, example in rows if not example.strip()] == []


@pytest.mark.parametrize("operator", OPERATORS)
def test_every_argument_of_an_operator_has_a_row(operator: type[BaseOperator]) -> None:
    taken = {
        name
        for one in operator.__mro__
        if one.__module__.startswith(ROOMS) and "__init__" in vars(one)
        for name, each in inspect.signature(vars(one)["__init__"]).parameters.items()
        if each.kind is each.KEYWORD_ONLY
    }
    assert taken == {name for names in classes_of(operator).values() for name in names}
    assert {name for name in taken if f"\n| `{name}` |" not in WRITTEN} == set()


def test_every_argument_of_a_pipeline_has_a_row() -> None:
    section = WRITTEN.partition("### `carry_out`")[2].partition("\n## ")[0]
    told = inspect.signature(carry_out).parameters.values()
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == [
        each.name for each in told if each.kind is each.KEYWORD_ONLY
    ]


@pytest.mark.parametrize("path", sorted((ROOT / "dags").glob("bitrix24_*.py")), ids=lambda path: path.stem)
def test_every_field_of_a_form_has_a_row(path: Any) -> None:
    asked = set(re.findall(r'^        "(\w+)": (?:Param|form|rules)', path.read_text(), re.MULTILINE))
    section = WRITTEN.partition(f"### `{path.stem}`")[2].partition("\n### ")[0]
    common = WRITTEN.partition("### Most DAGs that write")[2].partition("\n### ")[0]
    assert asked
    assert {name for name in asked if f"<br>`{name}` |" not in section + common} == set()


def test_every_field_of_a_connection_has_a_row() -> None:
    (told,) = get_provider_info()["connection-types"]
    hidden = set(told["ui-field-behaviour"]["hidden-fields"])
    asked = ({"host", "login", "password", "port", "schema", "extra"} | told["conn-fields"].keys()) - hidden
    section = WRITTEN.partition("## Fields of a connection")[2]
    assert set(re.findall(r"<br>`(\w+)` \|", section)) == asked


class Task(BaseOperator):
    """An operator as somebody may write one.

    :param unchecked: A word.
    :param untold: A word.
    :param widened: Only these; ``None`` for all.
    """

    template_fields = ("unchecked", "untold", "widened")

    def __init__(
        self, *, unchecked: str = "a", untold: str | None = None, widened: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.unchecked, self.untold, self.widened = unchecked, untold, widened

    def read(self) -> tuple[Any, ...]:
        """Read the arguments."""
        for name in ("untold", "widened"):
            value = getattr(self, name)
            if not is_nothing(value) and value not in ("this", "that"):
                raise InvalidInput(name, value, "'this' or 'that'")
        untold = None if is_nothing(self.untold) else self.untold
        return self.unchecked, untold, self.widened or "all"


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("unchecked", "Task.unchecked: what is undefined is taken for"),
        ("untold", "Task.untold: its docstring does not say what None means: A word."),
        ("widened", "Task.widened: 'None' is taken for .*'None'"),
    ],
)
def test_what_an_empty_argument_means_and_nobody_would_expect_is_found(argument: str, said: str) -> None:
    subject = Subject(Task, {}, Task.read, dict.fromkeys(("unchecked", "untold", "widened"), "this"))
    with pytest.raises(FindingError, match=said):
        probed(subject, Task, argument)

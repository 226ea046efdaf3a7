"""What each argument and form field accepts, and what an empty one means: writes ``docs/arguments.md``.

``make arguments`` after a change of an argument, of a form or of a check. No row is written by hand: types
come from annotations and schemas, meanings from docstrings and descriptions, and what is accepted or refused
from the code that does so.
"""

from __future__ import annotations

import inspect
import os
import re
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from datetime import timedelta
from pathlib import Path
from unittest import mock

from airflow.sdk import DAG

from airflow_bitrix.operators.link_plans import Bitrix24PlanLinkCleanupOperator
from airflow_bitrix.pipelines.carry_out import carry_out
from scripts.argument_examples import EXAMPLES
from scripts.argument_probes import Argument, FindingError, classes_of, described, probed
from scripts.argument_subjects import CONNECTIONS, rule_subjects, subjects
from scripts.connection_fields import connection_fields
from scripts.form_fields import Field, Rows, form_fields, places_of, row_of

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "arguments.md"

INTRODUCTION = """\
# Arguments and form fields

What each of them is, accepts, and means where it is empty. `make arguments` writes this page by asking the
code that checks them: every *refused* here was refused, and all else was taken for what stands there.

An argument comes out **empty** in three ways:

| column | where it comes from |
|:---|:---|
| `""` | a text that is empty: `{{ params.name or '' }}`, an Airflow variable that holds nothing |
| `None` | a template that gives nothing, in a DAG with `render_template_as_native_obj`; a task's result |
| `"None"` | the same template in a DAG without it: Airflow makes a text of it |

A template that names what there is not, such as a misspelt `{{ params.nmae }}`, fails the task with every
argument. *Refused* means before anything is sent, with an error that names the argument, the value and what
is accepted, and without a retry. *Refused where it counts* stands where only some others ask for it. Beside
these arguments all operators take what Airflow's own do.

Two examples that are often looked for:

- **The deals of one pipeline**: `kind="deal", filter={"categoryId": 3}`. The number stands in the address of
  the pipeline in Bitrix24, `/crm/deal/category/3/`; `crm.category.list` names them all, and 0 is the first
  one. Stages of it are written with it: `stages=["C3:NEW"]`.
- **`plan_hash`**: every task that makes a plan returns it, `plan.output["hash"]`. Handing on `plan.output` as
  a whole does without. A DAG that applies the plan of another run takes it from `approval.json` in that
  run's folder, where it is called `plan`.
"""

FORMS = """\
## Form fields

Airflow checks an answer by the schema of its field, from the form as from the API. A field that is left
empty is `null`, a list or object there has nothing in it; an empty text comes from the API or the command
line only. What the schema lets pass goes to the arguments that are named, as the sample DAGs hand it on, and
is there what stands behind it.
"""

CONNECTION = """\
## Fields of a connection

With the name of each in a connection's JSON; those behind *port* stand in its `extra`. An empty text and
`null` are the same. A *whole address* is a webhook's, pasted into *Webhook code*.
"""

_TITLES: Mapping[str, str] = {
    "Bitrix24BaseOperator": "Every operator but the approval",
    "Bitrix24Operator": "Every operator of a method",
    "OwnerCall": "Every operator of one record's links",
    "_Add": "Every operator that adds a link",
    "LinkPlanOperator": "Every operator of link work but the approval",
    "LinkPlanMaker": "Every operator that makes a plan",
    "Bitrix24Sensor": "Every sensor",
    "MigrationArguments": "The plan of a migration, and its comparison",
}
"""What sections about classes are called that several operators stand on."""


def argument_rows(folder: Path) -> tuple[Rows, dict[type, list[str]]]:
    """Try all arguments of all operators.

    :param folder: An empty one.
    :return: Their rows by the class that takes them, and the names of the operators that stand on each class.
    :raises FindingError: One is not checked, means something unexpected, or differs between operators.
    """
    rows: Rows = {}
    operators: dict[type, list[str]] = {}
    expected: dict[type, list[str]] = {}
    for subject in subjects(folder):
        for owner, names in reversed(classes_of(subject.operator).items()):
            operators.setdefault(owner, []).append(subject.operator.__name__)
            expected.setdefault(owner, names)
            found = rows.setdefault(owner, {})
            for name in names:
                if name in subject.examples:
                    row = probed(subject, owner, name)
                    if found.setdefault(name, row) != row:
                        raise FindingError(
                            f"{subject.operator.__name__}.{name}: {row}, elsewhere {found[name]}"
                        )
    for rule in rule_subjects():
        expected[rule.operator] = [one.name for one in fields(rule.operator)]
        rows[rule.operator] = {name: probed(rule, rule.operator, name) for name in expected[rule.operator]}
    for owner, names in expected.items():
        if missing := set(names) - rows[owner].keys():
            raise FindingError(f"{owner.__name__}: nothing tries {', '.join(sorted(missing))}")
    return rows, operators


_NOTIFIERS = "a notifier of Airflow, or a list of them; empty for nobody to be told"


def pipeline_rows(rows: Rows) -> list[Argument]:
    """Give the rows of ``carry_out``: each of its arguments goes to a task, and counts as it does there."""
    told = inspect.signature(carry_out).parameters.values()
    given = {each.name: each.default for each in told if each.kind is each.KEYWORD_ONLY}
    marks = {name: f"{{{{ params.{name} }}}}" for name in given} | {"response_timeout": timedelta(seconds=1)}
    with DAG("marked", schedule=None) as dag:
        plan = Bitrix24PlanLinkCleanupOperator(task_id="plan", rules=["fix_primary"])
        carry_out(plan, **{**marks, "assigned_users": None, "notifiers": (), "notify": ()})  # type: ignore[arg-type]
    found = places_of(dag)
    found["response_timeout"] = [(type(dag.get_task("approve")), ("response_timeout",), "")]
    made = []
    for name, default in given.items():
        about = described(carry_out, name)
        targets = [row for place in found.get(name, []) if (row := row_of(rows, *place[:2]))]
        if not targets:
            of_airflow = "what Airflow's `ApprovalOperator` takes"
            accepted = _NOTIFIERS if name == "notify" else of_airflow
            made.append(Argument(name, about, "", accepted, example=EXAMPLES[name]))
            continue
        if len({(row.accepted, row.empty) for row in targets}) > 1:
            raise FindingError(f"carry_out.{name}: it does not mean the same everywhere: {targets}")
        may_be = f"{targets[0].may_be.partition(';')[0]}; `{default!r}` by default"
        made.append(replace(targets[0], name=name, about=about, may_be=may_be))
    return made


def page() -> str:
    """Make the page."""
    with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, CONNECTIONS):
        rows, operators = argument_rows(Path(folder))
        parts = [INTRODUCTION, "## Operators"]
        for owner, names in operators.items():
            parts += [f"### {_TITLES.get(owner.__name__) or _shown(names)}", _arguments(rows[owner].values())]
        parts += ["### `carry_out`", _arguments(pipeline_rows(rows))]
        parts.append("## Options of the clean-up rules")
        for rule in rule_subjects():
            parts += [f"### `{rule.operator.name}`", _arguments(rows[rule.operator].values())]
        parts.append(FORMS)
        for title, found in form_fields(rows, ROOT / "dags"):
            parts += [f"### {title}", _fields(found)]
        parts += [CONNECTION, _connection()]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _connection() -> str:
    heads = "field", "what it is", "accepted", "left empty", "left empty beside a whole address"
    rows = (
        (f"{one.title}<br>`{one.name}`", one.about, one.accepted, *one.empty) for one in connection_fields()
    )
    return as_table(heads, rows)


def _shown(names: Iterable[str]) -> str:
    families = "(?<=Bitrix24)(Lead|Deal|Quote|Company)(?=Contact)"
    both = dict.fromkeys(re.sub(families, "…", name) for name in names)
    return ", ".join(f"`{name}`" for name in both)


def _arguments(rows: Iterable[Argument]) -> str:
    heads = "argument", "what it is", "example", "may be", "accepted", '`""`', "`None`", '`"None"`'
    return as_table(
        heads,
        ((f"`{one.name}`", one.about, one.example, one.may_be, one.accepted, *one.empty) for one in rows),
    )


def _fields(found: Iterable[Field]) -> str:
    heads = "field", "what it is", "accepted", "default", "goes to", "left empty", '`""`'
    return as_table(
        heads,
        (
            (
                f"{one.title}<br>`{one.name}`",
                one.about,
                one.accepted,
                one.default,
                ", ".join(one.arguments) or "a task of the DAG itself",
                *one.empty,
            )
            for one in found
        ),
    )


def as_table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Give a table in Markdown; cells are docstrings' texts."""

    def line(cells: Iterable[str]) -> str:
        return "| " + " | ".join(map(_cell, cells)) + " |"

    heads = list(heads)
    return "\n".join([line(heads), "|" + ":---|" * len(heads), *map(line, rows)])


def _cell(text: str) -> str:
    """Give a docstring's text as Markdown has it, in one cell."""
    text = re.sub(r":\w+:`~?[\w.]*?(\w+)`", r"`\1`", text).replace("``", "`")
    return re.sub(r"\s+", " ", text).replace("|", "\\|")


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()

"""What each field of the sample DAGs' trigger forms accepts, and what becomes of one that is left empty."""

from __future__ import annotations

import re
import runpy
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import ParamValidationError
from airflow.sdk import DAG, Param
from airflow.sdk.definitions.param import ParamsDict
from jinja2.nativetypes import NativeEnvironment

from airflow_bitrix.core.rules import RULES
from scripts.argument_probes import EMPTY, Argument

Rows = dict[type, dict[str, Argument]]
"""Rows by the class that takes the arguments, and by name."""

Place = tuple[type, tuple[str, ...], str]
"""Where an answer goes: an operator, an argument of it and keys within that, and the template there."""

OFTEN = 3
"""DAGs that have a field, from which on it stands in a table of its own."""


@dataclass(frozen=True)
class Field:
    """A field of a form.

    :param arguments: Those that it goes to.
    :param empty: What becomes of it where it is left empty, and of an empty text.
    """

    name: str
    title: str
    about: str
    accepted: str
    default: str
    arguments: tuple[str, ...]
    empty: tuple[str, ...]


def form_fields(rows: Rows, folder: Path) -> Iterator[tuple[str, list[Field]]]:
    """Give the fields of each form with its title: first those that many DAGs ask for.

    :param folder: That of the sample DAGs.
    """
    dags = [_dag(path) for path in sorted(folder.glob("bitrix24_*.py"))]
    found = {dag.dag_id: _fields_of(dag, rows) for dag in dags}
    often = Counter(field for fields in found.values() for field in fields)
    yield "Most DAGs that write", [field for field, number in often.items() if number >= OFTEN]
    for dag_id, fields in found.items():
        yield f"`{dag_id}`", [field for field in fields if often[field] < OFTEN]


def _dag(path: Path) -> DAG:
    dag: DAG = runpy.run_path(str(path))["dag"]
    return dag


def _fields_of(dag: DAG, rows: Rows) -> list[Field]:
    places = places_of(dag)
    usual = {name: dag.params.get_param(name).value for name in dag.params}
    return [
        _field(name, dag.params.get_param(name), places.get(name, []), usual, rows) for name in dag.params
    ]


def _field(name: str, param: Param, places: list[Place], usual: Mapping[str, Any], rows: Rows) -> Field:
    targets = [(place, row) for place in places if (row := row_of(rows, *place[:2]))]

    def become(value: Any) -> str:
        try:
            ParamsDict({name: param})[name] = value
        except ParamValidationError:
            return "refused by Airflow"
        words = [_at(row, place[2], {**usual, name: value}) for place, row in targets]
        return "; ".join(dict.fromkeys(words))

    kinds = _types(param.schema)
    left: object = [] if "array" in kinds else {} if "object" in kinds else None
    is_text = "string" in kinds
    named = tuple(dict.fromkeys(f"`{': '.join(place[1])}`" for place, _ in targets))
    default = (
        f"`{param.value!r}`" if param.has_value else "empty" if "null" in param.schema["type"] else "none"
    )
    title, about = str(param.schema.get("title", name)), str(param.description or "")
    accepted = accepted_by(param.schema)
    return Field(
        name, title, about, accepted, default, named, (become(left), become("") if is_text else "no text")
    )


def _at(row: Argument, template: str, params: Mapping[str, Any]) -> str:
    """Give what becomes of an answer in the argument that it goes to."""
    value = NativeEnvironment().from_string(template).render(params=params)
    for each, become in zip(EMPTY, row.empty, strict=True):
        if value is each or (value == each and isinstance(value, str)):
            return become
    return row.bare if isinstance(value, (list, dict)) and not value else f"`{value!r}`"


def places_of(dag: DAG) -> dict[str, list[Place]]:
    """Give where the templates of a DAG's tasks hand on each of its parameters."""
    found: dict[str, list[Place]] = {}
    for task in dag.tasks:
        operator = getattr(task, "operator_class", type(task))
        given = getattr(task, "partial_kwargs", None)
        for argument in task.template_fields:
            value = given.get(argument) if given is not None else getattr(task, argument, None)
            for keys, text in _texts(value):
                for name in re.findall(r"\bparams\.(\w+)", text):
                    found.setdefault(name, []).append((operator, (argument, *keys), text))
    return found


def _texts(value: object) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(value, str):
        yield (), value
    elif isinstance(value, Mapping):
        for key, one in value.items():
            for keys, text in _texts(one):
                yield (str(key), *keys), text


def row_of(rows: Rows, operator: type, keys: tuple[str, ...]) -> Argument | None:
    """Give the row of the argument, or of the rule's option, that an answer goes to; ``None`` for others."""
    if len(keys) > 1:
        rule = RULES.get(keys[1]) if keys[0] == "rule_options" else None
        return rows[rule].get(keys[2]) if rule else None
    return next((rows[one][keys[0]] for one in operator.__mro__ if keys[0] in rows.get(one, {})), None)


_WORDS = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "yes or no",
    "array": "list",
    "object": "object",
}


def _types(schema: Mapping[str, Any]) -> list[str]:
    told = schema["type"]
    return [one for one in ([told] if isinstance(told, str) else told) if one != "null"]


def accepted_by(schema: Mapping[str, Any]) -> str:
    """Say what a schema accepts; ``null`` aside, which has a column of its own."""
    if "enum" in schema:
        return ", ".join(f"`{one}`" for one in schema["enum"])
    (kind,) = _types(schema)
    said = "a day, such as `2026-11-01`" if schema.get("format") == "date" else _WORDS[kind]
    bounds = {**schema, **{key: value for one in schema.get("allOf", ()) for key, value in one.items()}}
    if "minimum" in bounds and kind in ("integer", "number"):
        least = "above 0, up to" if "exclusiveMinimum" in bounds else f"{bounds['minimum']:,} to"
        said += f", {least} {bounds['maximum']:,}"
    if "pattern" in schema:
        said += f" such as `{schema['examples'][0]}`"
    if kind == "array":
        said += f" of: {accepted_by(schema['items'])}" + ", one or more" * ("minItems" in schema)
    return said + ", not empty" * (schema.get("minLength") == 1)

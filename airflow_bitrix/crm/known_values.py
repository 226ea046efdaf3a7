"""What the fields of a portal can hold: their types, the entries of its directories, its pipelines.

Follows https://apidocs.bitrix24.com/api-reference/crm/universal/crm-item-fields.html,
https://apidocs.bitrix24.com/api-reference/crm/status/crm-status-list.html and
https://apidocs.bitrix24.com/api-reference/crm/universal/category/crm-category-list.html.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_bitrix.client.outcomes import CommandOutcome
from airflow_bitrix.client.portal import AsyncPortal
from airflow_bitrix.client.row_pages import fields_in
from airflow_bitrix.client.wire import Call
from airflow_bitrix.core.errors import Bitrix24Error, Rejected
from airflow_bitrix.core.families import family_of
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.core.links import EntityKind
from airflow_bitrix.core.numbers import told_id

_OF_PIPELINE = re.compile(r"C(\d{1,18}):", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class KnownValues:
    """What the fields of the records of a kind can hold.

    :param kind: The kind.
    :param fields: What ``crm.item.fields`` tells of each field, by its camelCase name.
    :param directories: The names of entries by id, by directory; or why the portal does not tell.
    :param pipelines: The names of pipelines by id; or why the portal does not tell.
    """

    kind: EntityKind
    fields: Mapping[str, Mapping[str, Any]]
    directories: Mapping[str, Mapping[str, str]] | Rejected
    pipelines: Mapping[int, str] | Rejected

    def entries(self, directory: str) -> Mapping[str, str] | Rejected:
        """Give the entries of a directory; of that of stages those of all pipelines that there are."""
        if isinstance(self.directories, Rejected):
            return self.directories
        names, stages = [directory], family_of(self.kind).stages
        if is_of_stages(directory, stages):
            names = (
                [name for name in self.directories if is_of_stages(name, stages)]
                if isinstance(self.pipelines, Rejected)
                else [stages, *(f"{stages}_{pipeline}" for pipeline in self.pipelines)]
            )
        return {one: name for each in names for one, name in self.directories.get(each, {}).items()}


def is_of_stages(directory: str, stages: str) -> bool:
    """Whether a directory is that of some stages, or that of one of their further pipelines."""
    return bool(stages) and (directory == stages or directory.startswith(f"{stages}_"))


def pipeline_of(stage: str) -> int:
    """Give the pipeline in which a stage would stand, 0 for the first one."""
    found = _OF_PIPELINE.match(stage)
    return int(found[1]) if found else 0


async def known_values(portal: AsyncPortal, kind: EntityKind) -> KnownValues:
    """Ask what the fields of a kind can hold, in one request.

    :raises Rejected: The portal does not tell the fields.
    :raises Bitrix24Error: It tells what are no fields, entries or pipelines.
    """
    of_kind = {"entityTypeId": family_of(kind).entity_type_id}
    calls = [Call("crm.item.fields", of_kind), Call("crm.status.list", {})]
    if kind != "lead":  # leads have no pipelines
        calls.append(Call("crm.category.list", of_kind))
    told = await portal.run_batch(calls)
    fields = fields_in("crm.item.fields", told[0].result)
    if not all(isinstance(about, Mapping) for about in fields.values()):
        raise _odd("crm.item.fields", gettext("no fields"))
    directories = _refusal(told[1]) or directories_in(told[1].result)
    pipelines = (_refusal(told[2]) or _pipelines(told[2].result)) if len(told) > 2 else {}  # noqa: PLR2004
    return KnownValues(kind, fields, directories, pipelines)


def _refusal(outcome: CommandOutcome) -> Rejected | None:
    return outcome.error if isinstance(outcome.error, Rejected) else None


def directories_in(answer: object) -> Mapping[str, Mapping[str, str]]:
    """Give the names of entries by id, by directory, of what ``crm.status.list`` answered.

    :raises Bitrix24Error: These are no entries.
    """
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for row in _rows("crm.status.list", answer):
        directory, entry, name = (row.get(key) for key in ("ENTITY_ID", "STATUS_ID", "NAME"))
        if not isinstance(directory, str) or not isinstance(entry, str) or not isinstance(name, str):
            raise _odd("crm.status.list", gettext("a row that is no entry of a directory"))
        found[directory][entry] = name
    return found


def _pipelines(answer: object) -> Mapping[int, str]:
    found: dict[int, str] = {}
    rows = answer.get("categories") if isinstance(answer, Mapping) else None
    for row in _rows("crm.category.list", rows):
        number, name = told_id(row.get("id")), row.get("name")
        if number is None or not isinstance(name, str):
            raise _odd("crm.category.list", gettext("a row that is no pipeline"))
        found[number] = name
    return found


def _rows(method: str, answer: object) -> Iterator[Mapping[str, Any]]:
    for row in answer if isinstance(answer, list) else [None]:
        if not isinstance(row, Mapping):
            raise _odd(method, gettext("what is no list of rows"))
        yield row


def _odd(method: str, what: str) -> Bitrix24Error:
    return Bitrix24Error(
        gettext("{method}: the portal answered {what}", method=method, what=what), method=method
    )

"""The directories of stages and other lists, pipelines, and smart processes: ``crm.status.list`` and its kin.

Follows https://apidocs.bitrix24.com/api-reference/crm/status/crm-status-list.html. The method knows neither
``select`` nor pages: it gives whole rows, and all of them. So does the other one:
https://apidocs.bitrix24.com/api-reference/crm/universal/category/crm-category-list.html.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from airflow_bitrix.core.families import is_smart_process
from airflow_bitrix.sandbox import items, php
from airflow_bitrix.sandbox.calls import Answer, Call, Method
from airflow_bitrix.sandbox.errors import RestError
from airflow_bitrix.sandbox.names import SOURCES
from airflow_bitrix.sandbox.schema import (
    DEAL_STAGES,
    INVOICE_STAGES,
    LEAD_STAGES,
    PIPELINES,
    QUOTE_STAGES,
    RECORDS,
    REPAIR_STAGES,
    Stages,
    semantic_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_WORDS: Final = {"S": "success", "F": "failure", "P": "process"}
_SYSTEM: Final = (
    *("NEW", "CONVERTED", "JUNK", "WON", "LOSE", "DRAFT", "APPROVED", "DECLAINED"),
    *("N", "P", "D", "SUCCESS", "FAIL"),
)
_NUMBERS: Final = ("ID", "SORT")
_FIELDS: Final = (
    "ID",
    "ENTITY_ID",
    "STATUS_ID",
    "NAME",
    "NAME_INIT",
    "SORT",
    "SYSTEM",
    "CATEGORY_ID",
    "SEMANTICS",
)


_LISTS: Final[Mapping[str, Mapping[str, str]]] = {
    "SOURCE": {**{one: one.capitalize() for one in SOURCES}, "PARTNER": "Existing client", "OTHER": "Other"},
    "DEAL_TYPE": {"SALE": "Sales", "SERVICES": "Services", "GOODS": "Goods"},
    "COMPANY_TYPE": {"CUSTOMER": "Client", "SUPPLIER": "Supplier", "PARTNER": "Partner", "OTHER": "Other"},
    "CONTACT_TYPE": {"CLIENT": "Clients", "SUPPLIER": "Suppliers", "PARTNER": "Partners"},
}
"""Directories that are no stages: name by id."""


def _of_pipeline(category: int) -> tuple[str, int, Stages]:
    if not category:
        return "DEAL_STAGE", category, DEAL_STAGES
    stages = {f"C{category}:{stage}": told for stage, told in DEAL_STAGES.items()}
    return f"DEAL_STAGE_{category}", category, stages


_STAGES: Final = (
    ("STATUS", 0, LEAD_STAGES),
    *map(_of_pipeline, PIPELINES),
    ("QUOTE_STATUS", 0, QUOTE_STAGES),
    ("SMART_INVOICE_STAGE_2", 2, INVOICE_STAGES),
    ("DYNAMIC_1036_STAGE_11", 11, REPAIR_STAGES),
)
"""The directories that are stages, each with its pipeline."""


def _rows() -> Iterator[dict[str, Any]]:
    number = 1
    for directory, category, stages in _STAGES:
        for place, (stage, (name, color)) in enumerate(stages.items(), 1):
            bare = stage.rpartition(":")[2]
            is_system = bare in _SYSTEM
            semantic = semantic_of(stage)
            yield {
                "ID": str(number),
                "ENTITY_ID": directory,
                "STATUS_ID": stage,
                "NAME": name,
                "NAME_INIT": name if is_system else "",
                "SORT": str(place * 10),
                "SYSTEM": "Y" if is_system else "N",
                "CATEGORY_ID": str(category) if category else None,
                "COLOR": color,
                "SEMANTICS": None if semantic == "P" else semantic,
                "EXTRA": {
                    "SEMANTICS": "apology" if bare == "APOLOGY" else _WORDS[semantic],
                    "COLOR": color,
                },
            }
            number += 2
    for directory, entries in _LISTS.items():
        for place, (one, name) in enumerate(entries.items(), 1):
            yield {
                "ID": str(number),
                "ENTITY_ID": directory,
                "STATUS_ID": one,
                "NAME": name,
                "NAME_INIT": name,
                "SORT": str(place * 10),
                "SYSTEM": "Y",
                "CATEGORY_ID": None,
                "COLOR": None,
                "SEMANTICS": None,
            }
            number += 2


ROWS: Final = tuple(_rows())


def _key(name: str, row: Mapping[str, Any]) -> Any:
    return int(row[name]) if name in _NUMBERS else str(row[name])


def _list(call: Call) -> Answer:
    wanted = dict(php.items(call.param("filter", "FILTER") or {}))
    if php.is_array(wanted.get("ENTITY_ID")):
        raise RestError("", "Filter by ENTITY_ID must be a string")
    # As in the other older lists, a condition on what is no field is dropped without a word.
    kept = {
        name: {str(one) for one in php.values(value)} for name, value in wanted.items() if name in _FIELDS
    }
    rows = [row for row in ROWS if all(row[name] in values for name, values in kept.items())]
    order = list(php.items(call.param("order", "ORDER") or {"SORT": "ASC"}))
    for name, direction in reversed(order):
        if name in _FIELDS:
            rows.sort(key=partial(_key, name), reverse=str(direction).upper() == "DESC")
    return Answer(rows, total=len(rows))


def _categories(call: Call) -> Answer:
    kind = items.known_kind(call)
    wanted = items.array_or(call, "filter", {}, or_null=False)
    record = RECORDS[kind]
    if not record.pipelines:
        raise RestError("ENTITY_TYPE_NOT_SUPPORTED", f"The entity type {record.name} is not supported")
    rows = [
        {
            "id": category,
            "name": PIPELINES.get(category, PIPELINES[0]),
            "sort": 100 * place,
            "entityTypeId": record.family.entity_type_id,
            "isDefault": "N" if place > 1 else "Y",
            **({"originId": "", "originatorId": ""} if category else {}),
        }
        for place, category in enumerate(record.pipelines, 1)
        # None has a code, so a condition on it finds none.
        if php.item(wanted, "code") is None
    ]
    return Answer({"categories": rows}, total=len(rows))


def _types(call: Call) -> Answer:
    """The smart processes; invoices, which are built like them, are none."""
    if call.switches.limited_user:
        raise RestError("ACCESS_DENIED", "Access denied.")
    types = [
        {
            "id": number,
            "title": record.several,
            "code": "",
            "createdBy": 1,
            "entityTypeId": record.family.entity_type_id,
            "customSectionId": None,
            "isCategoriesEnabled": "N",
            "isStagesEnabled": "Y",
            "isClientEnabled": "Y",
            "isAutomationEnabled": "Y",
        }
        for number, (kind, record) in enumerate(RECORDS.items(), 1)
        if is_smart_process(kind)
    ]
    return Answer({"types": types}, total=len(types))


def methods() -> dict[str, Method]:
    """The methods of directories by name."""
    return {
        "crm.status.list": Method(_list),
        "crm.category.list": Method(_categories),
        "crm.type.list": Method(_types),
    }

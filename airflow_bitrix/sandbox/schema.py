"""The fields of leads, deals and contacts: one table for both families of methods.

``crm.lead.*`` and its kin speak upper-case names and strings, ``crm.item.*`` speaks camelCase and numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, Final, Literal

from airflow_bitrix.sandbox import php

Kind = Literal["lead", "deal", "contact"]
FieldType = Literal[
    "integer", "string", "char", "boolean", "datetime", "double", "crm_status", "crm_multifield"
]

KINDS: Final[tuple[Kind, ...]] = ("lead", "deal", "contact")
ENTITY_TYPES: Final[dict[int, Kind]] = {1: "lead", 2: "deal", 3: "contact"}
SERVER_ZONE: Final = timezone(timedelta(hours=3))
COMMUNICATIONS: Final = ("PHONE", "EMAIL")
"""The fields by which two records are found to be one person."""
MULTIFIELDS: Final = (*COMMUNICATIONS, "WEB", "IM")

SEMANTICS: Final[dict[str, str]] = {
    "CONVERTED": "S",
    "WON": "S",
    "JUNK": "F",
    "LOSE": "F",
    "APOLOGY": "F",
}


LEAD_STAGES: Final[dict[str, tuple[str, str]]] = {
    "NEW": ("Unassigned", "#2FC6F6"),
    "IN_PROCESS": ("In progress", "#55D0E0"),
    "PROCESSED": ("Processed", "#47E4C2"),
    "CONVERTED": ("Good lead", "#7BD500"),
    "JUNK": ("Junk lead", "#FF5752"),
}
DEAL_STAGES: Final[dict[str, tuple[str, str]]] = {
    "NEW": ("New", "#39A8EF"),
    "PREPARATION": ("Document preparation", "#2FC6F6"),
    "PREPAYMENT_INVOICE": ("Prepayment invoice", "#55D0E0"),
    "EXECUTING": ("In progress", "#47E4C2"),
    "FINAL_INVOICE": ("Final invoice", "#FFA900"),
    "WON": ("Deal successful", "#7BD500"),
    "LOSE": ("Deal failed", "#FF5752"),
    "APOLOGY": ("Failure reason analysis", "#FF5752"),
}
"""Stages as a portal begins with them: name and colour by id."""

PIPELINES: Final[dict[int, str]] = {0: "General", 3: "Wholesale", 5: "Service contracts"}
"""The pipelines of deals. Stages of all but the first have their pipeline before the id: ``C3:NEW``."""


def semantic_of(stage: str) -> str:
    """P for a stage under way, S for success, F for failure; other pipelines have a prefix before the id."""
    return SEMANTICS.get(stage.rpartition(":")[2], "P")


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its two names, its type and whether a caller may write it.

    A ``char`` holds Y or N; a ``boolean``, as custom fields are, 1 or 0.
    """

    name: str
    item_name: str
    type: FieldType
    read_only: bool = False
    default: Any = None
    told: str = ""
    """What ``crm.item.fields`` calls its type, where that says more."""
    about: Mapping[str, Any] = field(default_factory=dict)
    """What ``crm.item.fields`` tells besides: the directory of its values, or the values."""

    @property
    def is_number(self) -> bool:
        """Whether it holds a whole number."""
        return self.type in ("integer", "boolean")

    @property
    def is_custom(self) -> bool:
        """Whether an administrator added it."""
        return self.name.startswith("UF_")

    def clean(self, value: object) -> Any:
        """Turn what a caller sent into what is kept."""
        if self.type == "integer":
            return php.to_int(value)
        if self.type == "double":
            return php.to_float(value)
        if self.type in ("char", "boolean"):
            is_yes = value in ("Y", "y", "true", True)
            return "NY"[is_yes] if self.type == "char" else int(is_yes or value == "1")
        if self.type == "datetime":
            return parse_datetime(value)
        if self.type == "crm_multifield":
            return multifield(value)
        return None if value is None else php.to_text(value)

    def legacy(self, value: Any) -> Any:
        """The value as ``crm.lead.get`` and its kin give it: nearly everything is a string."""
        if self.type == "datetime":
            return "" if value is None else format_datetime(value)
        if value is None:
            return None
        if self.is_number:
            return str(value)
        if self.type == "double":
            return f"{value:.2f}"
        return value

    def item(self, value: Any) -> Any:
        """The value as ``crm.item.*`` gives it: numbers are numbers."""
        if self.type == "integer":
            return value or 0
        if self.type == "datetime":
            return None if value is None else format_datetime(value)
        if self.type == "double":
            return int(value) if value == int(value or 0) else value
        if self.type == "boolean":
            return "NY"[value or 0]
        return value


def format_datetime(moment: int) -> str:
    """An epoch second in the portal's form and time zone."""
    return datetime.fromtimestamp(moment, SERVER_ZONE).isoformat()


def parse_datetime(value: object) -> int | None:
    """The epoch second in a request value, None where it cannot be read."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return int(value)
    if not isinstance(value, str) or not value:
        return None
    for read in (datetime.fromisoformat, _parse_dotted):
        try:
            moment = read(value.strip())
        except ValueError:
            continue
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=SERVER_ZONE)
        return int(moment.timestamp())
    return None


def _parse_dotted(text: str) -> datetime:
    form = "%d.%m.%Y %H:%M:%S" if " " in text else "%d.%m.%Y"
    return datetime.strptime(text, form).replace(tzinfo=SERVER_ZONE)


def multifield(value: object) -> tuple[tuple[str, str], ...]:
    """Phones or e-mails as pairs of value and type, from ``[{"VALUE": …, "VALUE_TYPE": …}]``."""
    return tuple(
        (php.to_text(text), php.to_text(php.item(row, "VALUE_TYPE") or "WORK"))
        for row in php.values(value)
        if php.is_array(row) and (text := php.item(row, "VALUE"))
    )


COLORS: Final = ({"ID": "44", "VALUE": "Red"}, {"ID": "45", "VALUE": "Green"})
"""The items of a custom field that is a list."""

_LINKED = (
    Field("COMPANY_ID", "companyId", "integer", told="crm_company"),
    Field("CONTACT_ID", "contactId", "integer", told="crm_contact"),
    Field("IS_RETURN_CUSTOMER", "isReturnCustomer", "char", read_only=True, default="N"),
)
_PERSON = (
    Field("NAME", "name", "string"),
    Field("SECOND_NAME", "secondName", "string"),
    Field("LAST_NAME", "lastName", "string"),
    Field("POST", "post", "string"),
    Field("PHONE", "phone", "crm_multifield", default=()),
    Field("EMAIL", "email", "crm_multifield", default=()),
    Field("WEB", "web", "crm_multifield", default=()),
    Field("IM", "im", "crm_multifield", default=()),
)
_MONEY = (
    Field("OPPORTUNITY", "opportunity", "double", default=0.0),
    Field("CURRENCY_ID", "currencyId", "string", default="EUR", told="crm_currency"),
)
_COMMON = (
    Field("SOURCE_ID", "sourceId", "crm_status", about={"statusType": "SOURCE"}),
    Field("SOURCE_DESCRIPTION", "sourceDescription", "string", told="text"),
    Field("COMMENTS", "comments", "string", told="text"),
    Field("OPENED", "opened", "char", default="Y"),
    Field("ASSIGNED_BY_ID", "assignedById", "integer", default=1, told="user"),
    Field("CREATED_BY_ID", "createdBy", "integer", read_only=True, default=1, told="user"),
    Field("MODIFY_BY_ID", "updatedBy", "integer", read_only=True, default=1, told="user"),
    Field("DATE_CREATE", "createdTime", "datetime", read_only=True),
    Field("DATE_MODIFY", "updatedTime", "datetime", read_only=True),
    Field("ORIGINATOR_ID", "originatorId", "string"),
    Field("ORIGIN_ID", "originId", "string"),
    Field("UF_CRM_SOURCE_ID", "ufCrmSourceId", "string"),
    Field("UF_CRM_VIP", "ufCrmVip", "boolean"),
    Field("UF_CRM_COLOR", "ufCrmColor", "integer", told="enumeration", about={"items": COLORS}),
)
"""The last ones are custom fields, as a portal's administrator adds them."""

FIELDS: Final[dict[Kind, tuple[Field, ...]]] = {
    "lead": (
        Field("ID", "id", "integer", read_only=True),
        Field("TITLE", "title", "string"),
        *_PERSON,
        Field("COMPANY_TITLE", "companyTitle", "string"),
        *_LINKED,
        Field("STATUS_ID", "stageId", "crm_status", default="NEW", about={"statusType": "STATUS"}),
        Field("STATUS_SEMANTIC_ID", "stageSemanticId", "string", read_only=True, default="P"),
        Field("STATUS_DESCRIPTION", "statusDescription", "string", told="text"),
        *_MONEY,
        *_COMMON,
    ),
    "deal": (
        Field("ID", "id", "integer", read_only=True),
        Field("TITLE", "title", "string"),
        Field("TYPE_ID", "typeId", "crm_status", default="SALE", about={"statusType": "DEAL_TYPE"}),
        Field("CATEGORY_ID", "categoryId", "integer", default=0, told="crm_category"),
        *_LINKED,
        Field("IS_REPEATED_APPROACH", "isRepeatedApproach", "char", read_only=True, default="N"),
        Field("STAGE_ID", "stageId", "crm_status", default="NEW", about={"statusType": "DEAL_STAGE"}),
        Field("STAGE_SEMANTIC_ID", "stageSemanticId", "string", read_only=True, default="P"),
        Field("CLOSED", "closed", "char", default="N"),
        Field("LEAD_ID", "leadId", "integer", told="crm_lead"),
        *_MONEY,
        *_COMMON,
    ),
    "contact": (
        Field("ID", "id", "integer", read_only=True),
        *_PERSON,
        Field("TYPE_ID", "typeId", "crm_status", default="CLIENT", about={"statusType": "CONTACT_TYPE"}),
        Field("COMPANY_ID", "companyId", "integer", told="crm_company"),
        Field("LEAD_ID", "leadId", "integer", told="crm_lead"),
        Field("EXPORT", "export", "char", default="Y"),
        *_COMMON,
    ),
}

BY_NAME: Final[dict[Kind, dict[str, Field]]] = {
    kind: {field.name: field for field in fields} for kind, fields in FIELDS.items()
}
BY_ITEM_NAME: Final[dict[Kind, dict[str, Field]]] = {
    kind: {field.item_name: field for field in fields if field.type != "crm_multifield"}
    for kind, fields in FIELDS.items()
}
STAGE_FIELDS: Final[dict[Kind, tuple[str, str]]] = {
    "lead": ("STATUS_ID", "STATUS_SEMANTIC_ID"),
    "deal": ("STAGE_ID", "STAGE_SEMANTIC_ID"),
}

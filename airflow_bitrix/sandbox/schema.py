"""The kinds of records that there are: one table, which all methods read.

How a kind is linked stands in the product's own table of families; here is what else the portal knows of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from airflow_bitrix.core.families import Family, family_of
from airflow_bitrix.sandbox.fields import Field

Kind = str

COMMUNICATIONS: Final = ("PHONE", "EMAIL")
"""The fields by which two records are found to be one person."""
MULTIFIELDS: Final = (*COMMUNICATIONS, "WEB", "IM")

SEMANTICS: Final[dict[str, str]] = {
    "CONVERTED": "S",
    "WON": "S",
    "APPROVED": "S",
    "SUCCESS": "S",
    "P": "S",
    "JUNK": "F",
    "LOSE": "F",
    "DECLAINED": "F",
    "APOLOGY": "F",
    "FAIL": "F",
    "D": "F",
}

Stages = Mapping[str, tuple[str, str]]
"""Stages as a portal begins with them: name and colour by id."""

LEAD_STAGES: Final[Stages] = {
    "NEW": ("Unassigned", "#2FC6F6"),
    "IN_PROCESS": ("In progress", "#55D0E0"),
    "PROCESSED": ("Processed", "#47E4C2"),
    "CONVERTED": ("Good lead", "#7BD500"),
    "JUNK": ("Junk lead", "#FF5752"),
}
DEAL_STAGES: Final[Stages] = {
    "NEW": ("New", "#39A8EF"),
    "PREPARATION": ("Document preparation", "#2FC6F6"),
    "PREPAYMENT_INVOICE": ("Prepayment invoice", "#55D0E0"),
    "EXECUTING": ("In progress", "#47E4C2"),
    "FINAL_INVOICE": ("Final invoice", "#FFA900"),
    "WON": ("Deal successful", "#7BD500"),
    "LOSE": ("Deal failed", "#FF5752"),
    "APOLOGY": ("Failure reason analysis", "#FF5752"),
}
QUOTE_STAGES: Final[Stages] = {
    "DRAFT": ("Draft", "#39A8EF"),
    "SENT": ("Sent to client", "#2FC6F6"),
    "APPROVED": ("Accepted", "#7BD500"),
    "DECLAINED": ("Declined", "#FF5752"),
    "APOLOGY": ("Failure reason analysis", "#FF5752"),
}

INVOICE_STAGES: Final[Stages] = {
    "DT31_2:N": ("New", "#39A8EF"),
    "DT31_2:S": ("Sent to client", "#2FC6F6"),
    "DT31_2:P": ("Paid", "#7BD500"),
    "DT31_2:D": ("Not paid", "#FF5752"),
}
REPAIR_STAGES: Final[Stages] = {
    "DT1036_11:NEW": ("Start", "#39A8EF"),
    "DT1036_11:PREPARATION": ("Prepare", "#2FC6F6"),
    "DT1036_11:CLIENT": ("Approval", "#55D0E0"),
    "DT1036_11:SUCCESS": ("Success", "#7BD500"),
    "DT1036_11:FAIL": ("Failed", "#FF5752"),
}

PIPELINES: Final[dict[int, str]] = {0: "General", 3: "Wholesale", 5: "Service contracts"}
"""The pipelines of deals. Stages of all but the first have their pipeline before the id: ``C3:NEW``."""


def semantic_of(stage: str) -> str:
    """P for a stage under way, S for success, F for failure; other pipelines have a prefix before the id."""
    return SEMANTICS.get(stage.rpartition(":")[2], "P")


COLORS: Final = ({"ID": "44", "VALUE": "Red"}, {"ID": "45", "VALUE": "Green"})
"""The items of a custom field that is a list."""

_ID = Field("ID", "id", "integer", read_only=True)
_TITLE = Field("TITLE", "title", "string")
_COMPANY = Field("COMPANY_ID", "companyId", "integer", told="crm_company")
_CLIENT = (_COMPANY, Field("CONTACT_ID", "contactId", "integer", told="crm_contact"))
_RETURNS = Field("IS_RETURN_CUSTOMER", "isReturnCustomer", "char", read_only=True, default="N")
_LEAD = Field("LEAD_ID", "leadId", "integer", told="crm_lead")
_CLOSED = Field("CLOSED", "closed", "char", default="N")
_PERSON = (
    Field("NAME", "name", "string"),
    Field("SECOND_NAME", "secondName", "string"),
    Field("LAST_NAME", "lastName", "string"),
    Field("POST", "post", "string"),
)
_WAYS = (
    Field("PHONE", "phone", "crm_multifield", default=()),
    Field("EMAIL", "email", "crm_multifield", default=()),
    Field("WEB", "web", "crm_multifield", default=()),
    Field("IM", "im", "crm_multifield", default=()),
)
_MONEY = (
    Field("OPPORTUNITY", "opportunity", "double", default=0.0),
    Field("CURRENCY_ID", "currencyId", "string", default="EUR", told="crm_currency"),
)
_SOURCE = (
    Field("SOURCE_ID", "sourceId", "crm_status", about={"statusType": "SOURCE"}),
    Field("SOURCE_DESCRIPTION", "sourceDescription", "string", told="text"),
)
_KEPT = (
    Field("COMMENTS", "comments", "string", told="text"),
    Field("OPENED", "opened", "char", default="Y"),
    Field("ASSIGNED_BY_ID", "assignedById", "integer", default=1, told="user"),
    Field("CREATED_BY_ID", "createdBy", "integer", read_only=True, default=1, told="user"),
    Field("MODIFY_BY_ID", "updatedBy", "integer", read_only=True, default=1, told="user"),
    Field("DATE_CREATE", "createdTime", "datetime", read_only=True),
    Field("DATE_MODIFY", "updatedTime", "datetime", read_only=True),
)
_ORIGIN = (Field("ORIGINATOR_ID", "originatorId", "string"), Field("ORIGIN_ID", "originId", "string"))
_XML = Field("XML_ID", "xmlId", "string")
_CUSTOM = (
    Field("UF_CRM_SOURCE_ID", "ufCrmSourceId", "string"),
    Field("UF_CRM_VIP", "ufCrmVip", "boolean"),
    Field("UF_CRM_COLOR", "ufCrmColor", "integer", told="enumeration", about={"items": COLORS}),
)
"""Custom fields, as a portal's administrator adds them."""
_EVERY = (*_KEPT, *_ORIGIN, *_CUSTOM)


def _status(name: str, item_name: str, directory: str, default: str) -> Field:
    return Field(name, item_name, "crm_status", default=default, about={"statusType": directory})


@dataclass(frozen=True, slots=True)
class Record:
    """What the portal knows of a kind of records.

    :param family: How it is linked.
    :param name: What the portal calls one of them, and the page that lists them.
    :param stage: The field of the stage; nothing where there are none.
    :param stages: The stages of its first pipeline.
    :param semantic: The field that tells whether the stage is under way or an end; not all stages have one.
    :param pipelines: The ids of its pipelines; nothing where it knows none.
    :param has_methods: Whether there are ``crm.lead.*`` and its kin, beside ``crm.item.*``.
    """

    family: Family
    name: str
    several: str
    fields: tuple[Field, ...]
    stage: str = ""
    stages: Stages = field(default_factory=dict)
    semantic: str = ""
    pipelines: tuple[int, ...] = ()
    has_methods: bool = True

    @property
    def scalar(self) -> str:
        """The field of the primary one by its upper-case name; nothing where the card has none."""
        return f"{self.family.linked.upper()}_ID" if self.family.scalar else ""

    @property
    def links(self) -> str:
        """The upper-case name of the field that holds all that is linked."""
        return f"{self.family.linked.upper()}_IDS"


RECORDS: Final[Mapping[Kind, Record]] = {
    record.family.kind: record
    for record in (
        Record(
            family_of("lead"),
            "Lead",
            "Leads",
            (
                _ID,
                _TITLE,
                *_PERSON,
                *_WAYS,
                Field("COMPANY_TITLE", "companyTitle", "string"),
                *_CLIENT,
                _RETURNS,
                _status("STATUS_ID", "stageId", "STATUS", "NEW"),
                Field("STATUS_SEMANTIC_ID", "stageSemanticId", "string", read_only=True, default="P"),
                Field("STATUS_DESCRIPTION", "statusDescription", "string", told="text"),
                *_MONEY,
                *_SOURCE,
                *_EVERY,
            ),
            "STATUS_ID",
            LEAD_STAGES,
            "STATUS_SEMANTIC_ID",
        ),
        Record(
            family_of("deal"),
            "Deal",
            "Deals",
            (
                _ID,
                _TITLE,
                _status("TYPE_ID", "typeId", "DEAL_TYPE", "SALE"),
                Field("CATEGORY_ID", "categoryId", "integer", default=0, told="crm_category"),
                *_CLIENT,
                _RETURNS,
                Field("IS_REPEATED_APPROACH", "isRepeatedApproach", "char", read_only=True, default="N"),
                _status("STAGE_ID", "stageId", "DEAL_STAGE", "NEW"),
                Field("STAGE_SEMANTIC_ID", "stageSemanticId", "string", read_only=True, default="P"),
                _CLOSED,
                _LEAD,
                *_MONEY,
                *_SOURCE,
                *_EVERY,
            ),
            "STAGE_ID",
            DEAL_STAGES,
            "STAGE_SEMANTIC_ID",
            tuple(PIPELINES),
        ),
        Record(
            family_of("contact"),
            "Contact",
            "Contacts",
            (
                _ID,
                *_PERSON,
                *_WAYS,
                _status("TYPE_ID", "typeId", "CONTACT_TYPE", "CLIENT"),
                _COMPANY,
                _LEAD,
                Field("EXPORT", "export", "char", default="Y"),
                *_SOURCE,
                *_EVERY,
            ),
            pipelines=(0,),
        ),
        Record(
            family_of("company"),
            "Company",
            "Companies",
            (
                _ID,
                _TITLE,
                _status("COMPANY_TYPE", "typeId", "COMPANY_TYPE", "CUSTOMER"),
                *_WAYS,
                _LEAD,
                *_EVERY,
            ),
            pipelines=(0,),
        ),
        Record(
            family_of("quote"),
            "Quote",
            "Quotes",
            (
                _ID,
                Field("QUOTE_NUMBER", "quoteNumber", "string"),
                _TITLE,
                *_CLIENT,
                _status("STATUS_ID", "stageId", "QUOTE_STATUS", "DRAFT"),
                _CLOSED,
                _LEAD,
                Field("DEAL_ID", "dealId", "integer", told="crm_deal"),
                *_MONEY,
                *_KEPT,
                *_CUSTOM,
            ),
            "STATUS_ID",
            QUOTE_STAGES,
        ),
        Record(
            family_of("smart_invoice"),
            "Invoice",
            "Invoices",
            (
                _ID,
                _XML,
                Field("ACCOUNT_NUMBER", "accountNumber", "string"),
                _TITLE,
                Field("CATEGORY_ID", "categoryId", "integer", default=2, told="crm_category"),
                *_CLIENT,
                _status("STAGE_ID", "stageId", "SMART_INVOICE_STAGE_2", "DT31_2:N"),
                *_MONEY,
                *_SOURCE,
                *_KEPT,
            ),
            "STAGE_ID",
            INVOICE_STAGES,
            pipelines=(2,),
            has_methods=False,
        ),
        Record(
            family_of("dynamic_1036"),
            "Repair",
            "Repairs",
            (
                _ID,
                _XML,
                _TITLE,
                Field("CATEGORY_ID", "categoryId", "integer", default=11, told="crm_category"),
                *_CLIENT,
                _status("STAGE_ID", "stageId", "DYNAMIC_1036_STAGE_11", "DT1036_11:NEW"),
                *_MONEY,
                *_SOURCE,
                *_KEPT,
            ),
            "STAGE_ID",
            REPAIR_STAGES,
            pipelines=(11,),
            has_methods=False,
        ),
    )
}

KINDS: Final[tuple[Kind, ...]] = tuple(RECORDS)
ENTITY_TYPES: Final[dict[int, Kind]] = {one.family.entity_type_id: kind for kind, one in RECORDS.items()}

BY_NAME: Final[dict[Kind, dict[str, Field]]] = {
    kind: {one.name: one for one in record.fields} for kind, record in RECORDS.items()
}
BY_ITEM_NAME: Final[dict[Kind, dict[str, Field]]] = {
    kind: {one.item_name: one for one in record.fields if one.type != "crm_multifield"}
    for kind, record in RECORDS.items()
}

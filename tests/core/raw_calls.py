"""Calls about contact links: those that a portal reads as they are written, and those that it does not."""

from __future__ import annotations

import re
from typing import Any

FAMILIES = ("lead.contact", "deal.contact", "quote.contact", "company.contact", "contact.company")
"""Written out, since the code reads them from a table."""
REFERENCES = [
    f"{reference}[a]"
    for word in ("result", "next", "total", "time", "error")
    for reference in (f"${word}", f"${word}s", f"${word}X", f"${word.upper()}", f"x${word}.-")
]
NO_IDS: list[Any] = [
    *(True, False, None, 0, -1, 77.0, 5.9, [], [77], {}, {"a": 1}, 2**31, 10**18, 2**63),
    *(
        "",
        " ",
        "0",
        "-1",
        "+5",
        " 5",
        "5 ",
        "\n5",
        "5abc",
        "77abc",
        "abc",
        "5.0",
        "1e3",
        "0x5",
        "10,5",
        "8_000",
    ),
    *("\u0665", "\uff15", "\u00a05", "5\u200b", "2147483648", "9" * 5000),
    *("$result[a]", "$results[a]", "$resultX[a]"),
]
MAYBE_A_CONTACT_S: list[Any] = ["3abc", "3 ", " 3", [3], 3.0, True, None, "", {}, "$result[a]"]
"""Values of ``entityTypeId``."""

NO_LISTS: list[Any] = [None, "", "7", 0, 7, True, False, {}, {"0": 7}, {"CONTACT_ID": 7}]

NO_FIELDS: list[Any] = [[], {}, [7], "7", 7, None, [{"CONTACT_ID": 7}]]


def no_items(key: str) -> list[Any]:
    return [
        *([], (), {}, None, "", "7,8", 7, True),
        *([1, 2, 3], ["7"], [[7]], [None], {"CONTACT_ID": 5}, {"0": {"CONTACT_ID": 5}}),
        *([{"contactId": 7}], [{"contact_id": 7}], [{"id": 7}], [{"SORT": 10}], [{}]),
        *([{key: 7}, 8], [{key: 7}, {}], [{key: 7, "sort": 10}]),
    ]


def _spelt_wrongly(name: str) -> list[str]:
    linked = re.sub("_?ids$", "", name, flags=re.IGNORECASE).lower()
    return [f"{linked}_ids", f"{linked.capitalize()}Ids", f"{linked.upper()}IDS", f"{linked}.ids"]


def _wrongly_named(one: str, several: str) -> list[dict[str, Any]]:
    return [
        *({"fields": {f"{spelt}": [7]}} for spelt in _spelt_wrongly(several)),
        {"fields": {f"{several}][0": 7}},
        {f"fields[{one}]": 7},
        {f"fields[{several}][0]": 7},
        {several: [7], "fields": {}},
        {"Id": 6, "fields": {one: 7}},
        {"fields ": {one: 7}},
        {"fIELDS": {one: 7}},
        {"fields": {one: 7}, "FIELDS": {one: 8}},
        *({"fields": reference} for reference in REFERENCES),
        *({"fields": {reference: 7}} for reference in REFERENCES),
        *({"fields": {one: 7, "TITLE": reference}} for reference in REFERENCES),
    ]


def _link(verb: str, family: str = "lead.contact", /, **params: Any) -> tuple[str, dict[str, Any]]:
    return f"crm.{family}.{verb}", params


def _key(family: str) -> str:
    return "COMPANY_ID" if family == "contact.company" else "CONTACT_ID"


GOOD: list[tuple[str, dict[str, Any]]] = [
    *(
        call
        for family in FAMILIES
        for call in (
            _link("add", family, id=5, fields={_key(family): 7}),
            _link("add", family, id="5", fields={_key(family): "7", "SORT": 20, "IS_PRIMARY": "Y"}),
            _link("delete", family, ID=2147483647, FIELDS={_key(family): 2147483647}),
            _link("items.get", family, id=5),
            _link("items.set", family, id=5, items=[{_key(family): 7}, {_key(family): 8, "ROLE_ID": 0}]),
            _link("items.set", family, id=5, Items=[{_key(family): 7}]),
            _link("items.set", family, id=5, arItems=({_key(family): 7},)),
            _link("items.delete", family, id=5),
            _link("fields", family),
        )
    ),
    ("CRM.Lead.Contact.Items.Delete", {"id": "5"}),
    ("crm.item.update", {"id": 5, "entityTypeId": 1, "fields": {"contactIds": [7, "8"]}}),
    ("crm.item.update", {"id": 5, "entityTypeId": 1, "fields": {"contactId": 7, "title": "x"}}),
    ("crm.item.update", {"id": [5], "entityTypeId": 1, "fields": {"title": "x"}}),
    (
        "crm.lead.update",
        {"id": 5, "fields": {"CONTACT_IDS": ["7", 8]}, "params": {"REGISTER_SONET_EVENT": "N"}},
    ),
    ("crm.deal.update", {"ID": 5, "arFields": {"CONTACT_ID": 7, "UF_CRM_CONTACT_ID": "x"}}),
    ("crm.lead.update", {"id": 5, "fields": {"TITLE": "the contact_id is $5"}}),
    ("crm.item.update", {"id": "5", "entityTypeId": "3", "fields": {"companyIds": [3, "4"]}}),
    ("crm.item.update", {"id": 5, "entityTypeId": 3, "fields": {"companyId": 3, "contactIds": [7]}}),
    # of others than contacts a company is no link
    *(
        ("crm.item.update", {"id": 5, "entityTypeId": 1, "fields": {"companyId": value}})
        for value in (3, 0, [3])
    ),
    ("crm.item.update", {"id": 5, "entityTypeId": 1, "fields": {"companyId": 0, "contactIds": [7]}}),
    *((f"crm.{kind}.update", {"id": 5, "fields": {"COMPANY_ID": 0}}) for kind in ("lead", "deal", "quote")),
    ("crm.contact.update", {"id": 5, "fields": {"COMPANY_IDS": ["3", 4], "COMPANY_ID": 3}}),
    ("crm.contact.update", {"id": 5, "fields": {"CONTACT_ID": [7], "LEAD_ID": 0}}),
    ("crm.company.update", {"ID": 5, "FIELDS": {"CONTACT_ID": ["7", 8], "COMPANY_TYPE": "x"}}),
    ("crm.company.update", {"id": 5, "fields": {"COMPANY_ID": 0}}),
    (
        "batch",
        {
            "cmd": [
                "crm.contact.update?id=5&fields[POST]=contact",
                "crm.company.update?fields[A]=company",
            ]
        },
    ),
    ("crm.lead.get", {"id": [5]}),
    ("profile", {}),
    ("batch", {"halt": 0, "cmd": {"a": "crm.lead.contact.items.get?id=5", "b": "crm.lead.update?id=5"}}),
    ("batch", {"cmd": ["crm.lead.list", "profile", 5]}),
    ("batch", {"cmd": {"crm.lead.contact.add": "crm.lead.contact.items.get?id=5"}}),
    ("batch", {"cmd": 5}),
    ("batch", {}),
]

ALONE: list[tuple[str, dict[str, Any]]] = [
    ("crm.item.update", {"id": 5, "entityTypeId": 1, "fields": {"contactIds": []}}),
    ("crm.lead.update", {"id": 5, "fields": {"CONTACT_IDS": []}}),
]
"""Good as calls of their own; a batch cannot say an empty list, nor nothing."""

ALONE_TOO: list[tuple[str, dict[str, Any]]] = [
    ("crm.item.update", {"id": 5, "entityTypeId": 3, "fields": {"companyIds": []}}),
    ("crm.contact.update", {"id": 5, "fields": {"COMPANY_IDS": []}}),
    ("crm.company.update", {"id": 5, "fields": {"CONTACT_ID": []}}),
    ("crm.item.update", {"id": 5, "entityTypeId": 2, "fields": {"companyId": None}}),
]
"""Likewise, of others than lead 5."""

UPDATES: list[tuple[str, dict[str, Any], str, str]] = [
    ("crm.item.update", {"entityTypeId": 1}, "contactId", "contactIds"),
    ("crm.lead.update", {}, "CONTACT_ID", "CONTACT_IDS"),
    ("crm.deal.update", {}, "CONTACT_ID", "CONTACT_IDS"),
    ("CRM.Quote.Update", {}, "CONTACT_ID", "CONTACT_IDS"),
    ("crm.item.update", {"entityTypeId": 3}, "companyId", "companyIds"),
    ("crm.contact.update", {}, "COMPANY_ID", "COMPANY_IDS"),
]

BAD: list[tuple[str, dict[str, Any]]] = [
    # ids
    *(_link("items.delete", family, id=one) for family in FAMILIES for one in NO_IDS),
    *(_link("items.get", id=one) for one in NO_IDS),
    *(_link("add", id=one, fields={"CONTACT_ID": 7}) for one in NO_IDS),
    *(_link("add", id=5, fields={"CONTACT_ID": one}) for one in NO_IDS),
    *(_link("delete", "deal.contact", id=5, fields={"CONTACT_ID": one}) for one in NO_IDS),
    *(_link("items.set", id=5, items=[{"CONTACT_ID": 7}, {"CONTACT_ID": one}]) for one in NO_IDS),
    *(_link("items.set", id=one, items=[{"CONTACT_ID": 7}]) for one in NO_IDS),
    ("CRM.Lead.Contact.Items.Delete", {"id": [77]}),
    ("crm.lead.contact.items.delete.json", {"id": [77]}),
    # names
    *(
        _link("items.delete", **{name: 5})
        for name in ("Id", "iD", "id ", "ids", "ownerId", "lead_id", "OWNER_ID", "id[0]")
    ),
    _link("items.delete"),
    _link("items.delete", ID=5, id=5),
    _link("items.delete", id=5, contactId=7),
    _link("items.delete", id=5, fields={"CONTACT_ID": 7}),
    _link("items.get", id=5, start=0),
    *(
        _link("delete", id=5, **{name: {"CONTACT_ID": 7}})
        for name in ("field", "fIELDS", "ArFields", "items")
    ),
    *(
        _link("add", id=5, fields={name: 7})
        for name in ("contactId", "contact_id", "Contact_Id", "COMPANY_ID")
    ),
    _link("add", id=5, fields={"CONTACT_ID": 7, "isPrimary": "Y"}),
    _link("add", "contact.company", id=5, fields={"CONTACT_ID": 7}),
    _link("add", id=5, fields={"CONTACT_ID": 7}, FIELDS={"CONTACT_ID": 8}),
    _link("add", id=5),
    *(_link("add", id=5, fields=fields) for fields in NO_FIELDS),
    # items
    *(
        _link("items.set", family, id=5, items=items)
        for family in FAMILIES
        for items in no_items(_key(family))
    ),
    _link("items.set", id=5),
    _link("items.set", id=5, iTems=[{"CONTACT_ID": 7}]),
    _link("items.set", id=5, items=[{"CONTACT_ID": 7}], ITEMS=[{"CONTACT_ID": 8}]),
    # references
    *(_link("items.delete", id=one) for one in REFERENCES),
    *(_link("add", id=5, fields={"CONTACT_ID": 7, "SORT": one}) for one in REFERENCES),
    *(_link("add", id=5, fields={"CONTACT_ID": 7, one: 1}) for one in REFERENCES),
    *(_link("add", id=5, fields=one) for one in REFERENCES),
    *(_link("items.set", id=5, items=one) for one in REFERENCES),
    *(_link("items.set", id=5, items=[one]) for one in REFERENCES),
    *(_link("items.delete", **{"id": 5, one: 1}) for one in REFERENCES),
    # updates
    *(
        (method, {"id": 5, **also, "fields": {**more, one: value}})
        for method, also, one, _ in UPDATES
        for value in NO_IDS
        for more in ({}, {"TITLE": "x"})
    ),
    *(
        (method, {"id": value, **also, "fields": {one: 7}})
        for method, also, one, _ in UPDATES
        for value in NO_IDS
    ),
    *(
        (method, {"id": 5, **also, "fields": {several: value}})
        for method, also, _, several in UPDATES
        for value in (*NO_LISTS, *([7, one] for one in NO_IDS), *REFERENCES)
    ),
    *(
        (method, {"id": 5, **also, **wrong})
        for method, also, one, several in UPDATES
        for wrong in _wrongly_named(one, several)
    ),
    *(
        ("crm.item.update", {"id": 5, "entityTypeId": value, "fields": {"contactIds": [7]}})
        for value in NO_IDS
    ),
    ("crm.item.update", {"id": 5, "fields": {"contactIds": [7]}}),
    ("crm.item.update", {"id": 5, "entityTypeId": 1, "fields": {"CONTACT_IDS": [7]}}),
    ("crm.item.update", {"id": 5, "entityTypeId": 1, "FIELDS": {"contactIds": [7]}}),
    ("crm.lead.update", {"id": 5, "fields": {"contactIds": [7]}}),
    *(
        ("crm.item.update", {"id": 5, "entityTypeId": value, "fields": {name: [3]}})
        for name in ("companyId", "companyIds")
        for value in MAYBE_A_CONTACT_S
    ),
    ("crm.item.update", {"id": 5, "fields": {"companyIds": [3]}}),
    ("crm.item.update", {"id": 5, "entityTypeId": 3, "fields": {"COMPANY_IDS": [3]}}),
    ("crm.item.update", {"id": 5, "entityTypeId": 3, "fields": {"companyId": 3, "contactIds": 7}}),
    ("crm.contact.update", {"id": 5, "fields": {"companyIds": [3]}}),
    # of a company, CONTACT_ID holds all its contacts
    *(
        ("crm.company.update", {"id": 5, "fields": {"CONTACT_ID": value}})
        for value in (*NO_LISTS, *([7, one] for one in NO_IDS), *REFERENCES)
    ),
    *(("crm.company.update", {"id": value, "fields": {"CONTACT_ID": [7]}}) for value in NO_IDS),
    *(
        ("crm.company.update", {"id": 5, "fields": {name: [7]}})
        for name in ("CONTACT_IDS", "contactIds", "contactId", "Contact_Id")
    ),
    # raw batches
    *(
        ("batch", {name: commands})
        for name in ("cmd", "CMD")
        for command in (
            "crm.lead.contact.items.delete?id=5",
            "CRM.Deal.Contact.Items.Set?id=5&items[0]=7",
            "crm.contact.company.add?id=$result[a]",
            "crm.lead.update?id=5&fields[CONTACT_ID]=0",
            "crm.lead.update?id=5&fields%5BCONTACT_IDS%5D=",
            "crm.item.update?id=5&fields=$results[a]",
            "crm.item.update?entityTypeId=3&id=5&fields[companyIds]=",
            "crm.contact.update?id=5&fields[COMPANY_ID]=0",
            "crm.contact.update?id=5&fields%5BCOMPANY_IDS%5D[0]=",
            "crm.company.update?id=5&fields[CONTACT_ID][]=7",
            "crm.quote.contact.items.delete?id=5",
            "crm.company.contact.items.set?id=5&items[0][CONTACT_ID]=7",
        )
        for commands in ({"a": "profile", "b": command}, ["profile", command])
    ),
    ("Batch", {"cmd": ["crm.lead.contact.items.delete?id=$result[a]"]}),
    *(
        ("batch", {name: [command]})
        for name in ("cmd", "Cmd", "cMD")
        for command in (
            "x:crm.lead.contact.items.delete?id=5",
            "BATCH?cmd[a]=crm.lead.contact.items.delete%3Fid%3D5",
            "Batch?CMD[a]=BATCH%3Fcmd[a]=crm.lead.contact.items.delete%253Fid%253D5",
            "batch?cmd[a]=profile",
        )
    ),
    ("BATCH", {"cmd[a]": "crm.lead.contact.items.delete?id=5"}),
    ("Batch", {" cMd": {"a": "crm.lead.contact.items.delete?id=5"}}),
]

"""The thirty link methods of Bitrix24 as operators, and one for any other REST method.

Follows https://apidocs.bitrix24.com/api-reference/crm/leads/management-communication/index.html and
https://apidocs.bitrix24.com/api-reference/crm/deals/contacts/index.html; quotes, companies and contacts have
the same methods.
"""

from __future__ import annotations

from airflow_bitrix.operators.rest_methods import Bitrix24MethodOperator
from airflow_bitrix.operators.shared.base import Bitrix24Operator
from airflow_bitrix.operators.shared.link_calls import (
    AddCompanyCall,
    AddContactCall,
    DeleteCompanyCall,
    DeleteContactCall,
    FieldsCall,
    ItemsDeleteCall,
    ItemsGetCall,
    SetCompaniesCall,
    SetContactsCall,
)

__all__ = [
    "Bitrix24CompanyContactAddOperator",
    "Bitrix24CompanyContactDeleteOperator",
    "Bitrix24CompanyContactFieldsOperator",
    "Bitrix24CompanyContactItemsDeleteOperator",
    "Bitrix24CompanyContactItemsGetOperator",
    "Bitrix24CompanyContactItemsSetOperator",
    "Bitrix24ContactCompanyAddOperator",
    "Bitrix24ContactCompanyDeleteOperator",
    "Bitrix24ContactCompanyFieldsOperator",
    "Bitrix24ContactCompanyItemsDeleteOperator",
    "Bitrix24ContactCompanyItemsGetOperator",
    "Bitrix24ContactCompanyItemsSetOperator",
    "Bitrix24DealContactAddOperator",
    "Bitrix24DealContactDeleteOperator",
    "Bitrix24DealContactFieldsOperator",
    "Bitrix24DealContactItemsDeleteOperator",
    "Bitrix24DealContactItemsGetOperator",
    "Bitrix24DealContactItemsSetOperator",
    "Bitrix24LeadContactAddOperator",
    "Bitrix24LeadContactDeleteOperator",
    "Bitrix24LeadContactFieldsOperator",
    "Bitrix24LeadContactItemsDeleteOperator",
    "Bitrix24LeadContactItemsGetOperator",
    "Bitrix24LeadContactItemsSetOperator",
    "Bitrix24MethodOperator",
    "Bitrix24Operator",
    "Bitrix24QuoteContactAddOperator",
    "Bitrix24QuoteContactDeleteOperator",
    "Bitrix24QuoteContactFieldsOperator",
    "Bitrix24QuoteContactItemsDeleteOperator",
    "Bitrix24QuoteContactItemsGetOperator",
    "Bitrix24QuoteContactItemsSetOperator",
]


class Bitrix24LeadContactAddOperator(AddContactCall):
    """Link one contact to a lead: ``crm.lead.contact.add``.

    Returns ``True``, or ``False`` where the contact was linked already; then nothing changes, not even sort
    or primary.
    """

    api_method = "crm.lead.contact.add"


class Bitrix24LeadContactDeleteOperator(DeleteContactCall):
    """Unlink one contact from a lead: ``crm.lead.contact.delete``.

    Returns ``True``, or ``False`` where the contact was not linked. When the primary contact goes, the first
    that remains takes its place.
    """

    api_method = "crm.lead.contact.delete"


class Bitrix24LeadContactItemsGetOperator(ItemsGetCall):
    """Read all contact links of a lead: ``crm.lead.contact.items.get``.

    Returns a list of ``{"CONTACT_ID": int, "SORT": int, "ROLE_ID": int, "IS_PRIMARY": "Y" or "N"}`` in order;
    empty for a lead without contacts, and also for one that does not exist.
    """

    api_method = "crm.lead.contact.items.get"


class Bitrix24LeadContactItemsSetOperator(SetContactsCall):
    """Replace all contact links of a lead: ``crm.lead.contact.items.set``.

    Returns ``True``. An empty or malformed list is refused before anything is sent, since the portal would
    unlink every contact.
    """

    api_method = "crm.lead.contact.items.set"


class Bitrix24LeadContactItemsDeleteOperator(ItemsDeleteCall):
    """Unlink all contacts from a lead: ``crm.lead.contact.items.delete``.

    Returns ``True``, also where there was no contact.
    """

    api_method = "crm.lead.contact.items.delete"


class Bitrix24LeadContactFieldsOperator(FieldsCall):
    """Describe the fields of a lead's contact link: ``crm.lead.contact.fields``.

    Returns a dict of field name to description.
    """

    api_method = "crm.lead.contact.fields"


class Bitrix24DealContactAddOperator(AddContactCall):
    """Link one contact to a deal: ``crm.deal.contact.add``.

    Returns ``True``, or ``False`` where the contact was linked already; then nothing changes, not even sort
    or primary.
    """

    api_method = "crm.deal.contact.add"


class Bitrix24DealContactDeleteOperator(DeleteContactCall):
    """Unlink one contact from a deal: ``crm.deal.contact.delete``.

    Returns ``True``, or ``False`` where the contact was not linked. When the primary contact goes, the first
    that remains takes its place.
    """

    api_method = "crm.deal.contact.delete"


class Bitrix24DealContactItemsGetOperator(ItemsGetCall):
    """Read all contact links of a deal: ``crm.deal.contact.items.get``.

    Returns a list of ``{"CONTACT_ID": int, "SORT": int, "ROLE_ID": int, "IS_PRIMARY": "Y" or "N"}`` in order;
    empty for a deal without contacts, and on most portals also for one that does not exist.
    """

    api_method = "crm.deal.contact.items.get"


class Bitrix24DealContactItemsSetOperator(SetContactsCall):
    """Replace all contact links of a deal: ``crm.deal.contact.items.set``.

    Returns ``True``. An empty or malformed list is refused before anything is sent, since the portal would
    unlink every contact.
    """

    api_method = "crm.deal.contact.items.set"


class Bitrix24DealContactItemsDeleteOperator(ItemsDeleteCall):
    """Unlink all contacts from a deal: ``crm.deal.contact.items.delete``.

    Returns ``True``, also where there was no contact.
    """

    api_method = "crm.deal.contact.items.delete"


class Bitrix24DealContactFieldsOperator(FieldsCall):
    """Describe the fields of a deal's contact link: ``crm.deal.contact.fields``.

    Returns a dict of field name to description.
    """

    api_method = "crm.deal.contact.fields"


class Bitrix24QuoteContactAddOperator(AddContactCall):
    """Link one contact to a quote: ``crm.quote.contact.add``.

    Returns ``True``, or ``False`` where the contact was linked already; then nothing changes, not even sort
    or primary.
    """

    api_method = "crm.quote.contact.add"


class Bitrix24QuoteContactDeleteOperator(DeleteContactCall):
    """Unlink one contact from a quote: ``crm.quote.contact.delete``.

    Returns ``True``, or ``False`` where the contact was not linked. When the primary contact goes, the first
    that remains takes its place.
    """

    api_method = "crm.quote.contact.delete"


class Bitrix24QuoteContactItemsGetOperator(ItemsGetCall):
    """Read all contact links of a quote: ``crm.quote.contact.items.get``.

    Returns a list of ``{"CONTACT_ID": int, "SORT": int, "ROLE_ID": int, "IS_PRIMARY": "Y" or "N"}`` in order;
    empty for a quote without contacts, and also for one that does not exist.
    """

    api_method = "crm.quote.contact.items.get"


class Bitrix24QuoteContactItemsSetOperator(SetContactsCall):
    """Replace all contact links of a quote: ``crm.quote.contact.items.set``.

    Returns ``True``. An empty or malformed list is refused before anything is sent, since the portal would
    unlink every contact.
    """

    api_method = "crm.quote.contact.items.set"


class Bitrix24QuoteContactItemsDeleteOperator(ItemsDeleteCall):
    """Unlink all contacts from a quote: ``crm.quote.contact.items.delete``.

    Returns ``True``, also where there was no contact.
    """

    api_method = "crm.quote.contact.items.delete"


class Bitrix24QuoteContactFieldsOperator(FieldsCall):
    """Describe the fields of a quote's contact link: ``crm.quote.contact.fields``.

    Returns a dict of field name to description.
    """

    api_method = "crm.quote.contact.fields"


class Bitrix24CompanyContactAddOperator(AddContactCall):
    """Link one contact to a company: ``crm.company.contact.add``.

    Returns ``True``, or ``False`` where the contact was linked already; then nothing changes. The company
    becomes the primary one of the contact, whatever is asked, and its ``COMPANY_ID``.
    """

    api_method = "crm.company.contact.add"


class Bitrix24CompanyContactDeleteOperator(DeleteContactCall):
    """Unlink one contact from a company: ``crm.company.contact.delete``.

    Returns ``True``, or ``False`` where the contact was not linked. Where the company stands in the contact's
    ``COMPANY_ID``, the smallest id of its other companies takes that place, and none of them is flagged as
    primary.
    """

    api_method = "crm.company.contact.delete"


class Bitrix24CompanyContactItemsGetOperator(ItemsGetCall):
    """Read all contact links of a company: ``crm.company.contact.items.get``.

    Returns a list of ``{"CONTACT_ID": int, "SORT": int, "ROLE_ID": int, "IS_PRIMARY": "Y" or "N"}`` in order;
    empty for a company without contacts, and also for one that does not exist. ``IS_PRIMARY`` says whether
    the company is the primary one of that contact, so several may have it, or none.
    """

    api_method = "crm.company.contact.items.get"


class Bitrix24CompanyContactItemsSetOperator(SetContactsCall):
    """Replace all contact links of a company: ``crm.company.contact.items.set``.

    Returns ``True``. The company becomes the primary one of each contact that is new, of each whose sort
    changes, and of the one that is flagged, or stands first; contacts that go are left as by *delete*. An
    empty or malformed list is refused before anything is sent, since the portal would unlink every contact.
    """

    api_method = "crm.company.contact.items.set"


class Bitrix24CompanyContactItemsDeleteOperator(ItemsDeleteCall):
    """Unlink all contacts from a company: ``crm.company.contact.items.delete``.

    Returns ``True``, also where there was no contact. Each contact is left as by *delete*.
    """

    api_method = "crm.company.contact.items.delete"


class Bitrix24CompanyContactFieldsOperator(FieldsCall):
    """Describe the fields of a company's contact link: ``crm.company.contact.fields``.

    Returns a dict of field name to description.
    """

    api_method = "crm.company.contact.fields"


class Bitrix24ContactCompanyAddOperator(AddCompanyCall):
    """Link one company to a contact: ``crm.contact.company.add``.

    Returns ``True``, or ``False`` where the company was linked already; then nothing changes, not even sort
    or primary.
    """

    api_method = "crm.contact.company.add"


class Bitrix24ContactCompanyDeleteOperator(DeleteCompanyCall):
    """Unlink one company from a contact: ``crm.contact.company.delete``.

    Returns ``True``, or ``False`` where the company was not linked. When the primary company goes, the first
    that remains takes its place. Where none is flagged as primary, the contact has no ``COMPANY_ID`` then.
    """

    api_method = "crm.contact.company.delete"


class Bitrix24ContactCompanyItemsGetOperator(ItemsGetCall):
    """Read all company links of a contact: ``crm.contact.company.items.get``.

    Returns a list of ``{"COMPANY_ID": int, "SORT": int, "ROLE_ID": int, "IS_PRIMARY": "Y" or "N"}`` in order;
    empty for a contact without companies, and also for one that does not exist.
    """

    api_method = "crm.contact.company.items.get"


class Bitrix24ContactCompanyItemsSetOperator(SetCompaniesCall):
    """Replace all company links of a contact: ``crm.contact.company.items.set``.

    Returns ``True``. An empty or malformed list is refused before anything is sent, since the portal would
    unlink every company.
    """

    api_method = "crm.contact.company.items.set"


class Bitrix24ContactCompanyItemsDeleteOperator(ItemsDeleteCall):
    """Unlink all companies from a contact: ``crm.contact.company.items.delete``.

    Returns ``True``, also where there was no company.
    """

    api_method = "crm.contact.company.items.delete"


class Bitrix24ContactCompanyFieldsOperator(FieldsCall):
    """Describe the fields of a contact's company link: ``crm.contact.company.fields``.

    Returns a dict of field name to description.
    """

    api_method = "crm.contact.company.fields"

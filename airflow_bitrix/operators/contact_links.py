"""The twelve link methods of Bitrix24 as operators, and one for any other REST method.

Follows https://apidocs.bitrix24.com/api-reference/crm/leads/management-communication/index.html and
https://apidocs.bitrix24.com/api-reference/crm/deals/contacts/index.html.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Unpack

from airflow.sdk import XComArg

from airflow_bitrix.client.row_pages import fields_in
from airflow_bitrix.client.wire import METHOD_NAME
from airflow_bitrix.core import methods
from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.kind_words import named
from airflow_bitrix.core.languages import gettext, ngettext
from airflow_bitrix.core.links import Owner, OwnerKind, owner_address, owner_kind, positive_id
from airflow_bitrix.core.wording import as_rendered
from airflow_bitrix.links import Bitrix24OwnerLink
from airflow_bitrix.operators.shared.base import Bitrix24Operator
from airflow_bitrix.operators.shared.parameters import is_nothing
from airflow_bitrix.operators.shared.task_arguments import (
    ConnectedArguments,
    Identifier,
    OwnerArguments,
)

__all__ = [
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
]


class _LinkOperator(Bitrix24Operator):
    operator_extra_links = (Bitrix24OwnerLink(),)

    @property
    def _kind(self) -> OwnerKind:
        return owner_kind(self.api_method.split(".")[1])

    @property
    def _portal(self) -> str:
        return self.hook.settings.portal


class _OfOwner(_LinkOperator):
    template_fields: Sequence[str] = (*Bitrix24Operator.template_fields, "owner_id")

    def __init__(self, *, owner_id: Identifier, **kwargs: Unpack[ConnectedArguments]) -> None:
        """Take the owner.

        :param owner_id: Id of the lead or deal. (templated)
        """
        super().__init__(**kwargs)
        self.owner_id = owner_id

    def page(self) -> str:
        return owner_address(self._portal, Owner(self._kind, positive_id("owner_id", self.owner_id)))

    def title(self, parameters: Mapping[str, Any]) -> str:
        return named(self._owner(parameters))

    def _settled(self, said: str) -> str:
        """Tell of an owner that was as it should be, to this call at least."""
        if self.hook.portal.manners.meter.repeats:
            return gettext(
                "{said}, or it is so by an earlier try of this call whose answer was lost", said=said
            )
        return gettext("{said}; nothing changed", said=said)

    def _owner(self, parameters: Mapping[str, Any]) -> Owner:
        return Owner(self._kind, parameters["id"])


class _ContactAdd(_OfOwner):
    template_fields: Sequence[str] = (*_OfOwner.template_fields, "contact_id", "sort", "is_primary")

    def __init__(
        self,
        *,
        contact_id: Identifier,
        sort: int | str | None = None,
        is_primary: bool | str | None = None,
        **kwargs: Unpack[OwnerArguments],
    ) -> None:
        """Take what to link.

        :param contact_id: Id of the contact to link. (templated)
        :param sort: Place in the order; ``None`` puts the contact last. (templated)
        :param is_primary: ``True`` or ``"Y"`` makes the contact the primary one; ``None`` does not. The first
            link of an owner becomes primary in any case. (templated)
        """
        super().__init__(**kwargs)
        self.contact_id = contact_id
        self.sort = sort
        self.is_primary = is_primary

    def parameters(self) -> dict[str, Any]:
        return methods.add(self.owner_id, self.contact_id, self.sort, self.is_primary)

    def outcome(self, parameters: Mapping[str, Any], result: Any) -> str:
        contact = str(parameters["fields"]["CONTACT_ID"])
        if result:
            said = gettext("contact {contact} linked", contact=contact)
        else:
            said = self._settled(gettext("contact {contact} was linked already", contact=contact))
        return f"{self.title(parameters)}: {said}"


class _ContactDelete(_OfOwner):
    template_fields: Sequence[str] = (*_OfOwner.template_fields, "contact_id")

    def __init__(self, *, contact_id: Identifier, **kwargs: Unpack[OwnerArguments]) -> None:
        """Take what to unlink.

        :param contact_id: Id of the contact to unlink. (templated)
        """
        super().__init__(**kwargs)
        self.contact_id = contact_id

    def parameters(self) -> dict[str, Any]:
        return methods.delete(self.owner_id, self.contact_id)

    def outcome(self, parameters: Mapping[str, Any], result: Any) -> str:
        contact = str(parameters["fields"]["CONTACT_ID"])
        if result:
            said = gettext("contact {contact} unlinked", contact=contact)
        else:
            said = self._settled(gettext("contact {contact} was not linked", contact=contact))
        return f"{self.title(parameters)}: {said}"


class _ContactItemsGet(_OfOwner):
    def parameters(self) -> dict[str, Any]:
        return methods.items_get(self.owner_id)

    def outcome(self, parameters: Mapping[str, Any], result: Any) -> str:
        methods.links_of(Owner(self._kind, parameters["id"]), result)
        return f"{self.title(parameters)}: {_contacts(result)}"


class _ContactItemsSet(_OfOwner):
    template_fields: Sequence[str] = (*_OfOwner.template_fields, "items")

    def __init__(
        self,
        *,
        items: Sequence[int | str | Mapping[str, Any]] | str | XComArg,
        **kwargs: Unpack[OwnerArguments],
    ) -> None:
        """Take the new links.

        :param items: All contacts that the owner is to have, in order: ids, dicts with ``CONTACT_ID`` and, as
            wanted, ``SORT`` and ``IS_PRIMARY``, or a mix. At least one; never a contact twice. (templated)
        """
        super().__init__(**kwargs)
        self.items = items

    def parameters(self) -> dict[str, Any]:
        return methods.items_set(self.owner_id, self.items)

    def outcome(self, parameters: Mapping[str, Any], result: Any) -> str:
        del result
        return gettext(
            "{owner}: all links replaced, now {contacts}",
            owner=self.title(parameters),
            contacts=_contacts(parameters["items"]),
        )


class _ContactItemsDelete(_OfOwner):
    def parameters(self) -> dict[str, Any]:
        return methods.items_delete(self.owner_id)

    def outcome(self, parameters: Mapping[str, Any], result: Any) -> str:
        del result
        return gettext("{owner}: no contact is linked any more", owner=self.title(parameters))


class _ContactFields(_LinkOperator):
    def parameters(self) -> dict[str, Any]:
        return methods.fields()

    def page(self) -> str:
        return f"{self._portal}/crm/{self._kind}/"

    def outcome(self, parameters: Mapping[str, Any], result: Any) -> str:
        del parameters
        return gettext(
            "the fields of a link are {names}", names=", ".join(fields_in(self.api_method, result))
        )


_MOST_SHOWN = 20
"""Contacts that a line of the log names."""


def _contacts(links: Sequence[Mapping[str, Any]]) -> str:
    """Give number and ids of the contacts of links: ``2 contacts: 7, 8``."""
    if not links:
        return gettext("no contacts")
    shown = ", ".join(str(link.get("CONTACT_ID")) for link in links[:_MOST_SHOWN])
    told = ngettext("{count} contact: {ids}", "{count} contacts: {ids}", len(links), ids=shown)
    return told + ", …" * (len(links) > _MOST_SHOWN)


class Bitrix24LeadContactAddOperator(_ContactAdd):
    """Link one contact to a lead: ``crm.lead.contact.add``.

    Returns ``True``, or ``False`` where the contact was linked already; then nothing changes, not even sort
    or primary.
    """

    api_method = "crm.lead.contact.add"


class Bitrix24LeadContactDeleteOperator(_ContactDelete):
    """Unlink one contact from a lead: ``crm.lead.contact.delete``.

    Returns ``True``, or ``False`` where the contact was not linked. When the primary contact goes, the first
    that remains takes its place.
    """

    api_method = "crm.lead.contact.delete"


class Bitrix24LeadContactItemsGetOperator(_ContactItemsGet):
    """Read all contact links of a lead: ``crm.lead.contact.items.get``.

    Returns a list of ``{"CONTACT_ID": int, "SORT": int, "ROLE_ID": int, "IS_PRIMARY": "Y" or "N"}`` in order;
    empty for a lead without contacts, and also for one that does not exist.
    """

    api_method = "crm.lead.contact.items.get"


class Bitrix24LeadContactItemsSetOperator(_ContactItemsSet):
    """Replace all contact links of a lead: ``crm.lead.contact.items.set``.

    Returns ``True``. An empty or malformed list is refused before anything is sent, since the portal would
    unlink every contact.
    """

    api_method = "crm.lead.contact.items.set"


class Bitrix24LeadContactItemsDeleteOperator(_ContactItemsDelete):
    """Unlink all contacts from a lead: ``crm.lead.contact.items.delete``.

    Returns ``True``, also where there was no contact.
    """

    api_method = "crm.lead.contact.items.delete"


class Bitrix24LeadContactFieldsOperator(_ContactFields):
    """Describe the fields of a lead's contact link: ``crm.lead.contact.fields``.

    Returns a dict of field name to description.
    """

    api_method = "crm.lead.contact.fields"


class Bitrix24DealContactAddOperator(_ContactAdd):
    """Link one contact to a deal: ``crm.deal.contact.add``.

    Returns ``True``, or ``False`` where the contact was linked already; then nothing changes, not even sort
    or primary.
    """

    api_method = "crm.deal.contact.add"


class Bitrix24DealContactDeleteOperator(_ContactDelete):
    """Unlink one contact from a deal: ``crm.deal.contact.delete``.

    Returns ``True``, or ``False`` where the contact was not linked. When the primary contact goes, the first
    that remains takes its place.
    """

    api_method = "crm.deal.contact.delete"


class Bitrix24DealContactItemsGetOperator(_ContactItemsGet):
    """Read all contact links of a deal: ``crm.deal.contact.items.get``.

    Returns a list of ``{"CONTACT_ID": int, "SORT": int, "ROLE_ID": int, "IS_PRIMARY": "Y" or "N"}`` in order;
    empty for a deal without contacts, and on most portals also for one that does not exist.
    """

    api_method = "crm.deal.contact.items.get"


class Bitrix24DealContactItemsSetOperator(_ContactItemsSet):
    """Replace all contact links of a deal: ``crm.deal.contact.items.set``.

    Returns ``True``. An empty or malformed list is refused before anything is sent, since the portal would
    unlink every contact.
    """

    api_method = "crm.deal.contact.items.set"


class Bitrix24DealContactItemsDeleteOperator(_ContactItemsDelete):
    """Unlink all contacts from a deal: ``crm.deal.contact.items.delete``.

    Returns ``True``, also where there was no contact.
    """

    api_method = "crm.deal.contact.items.delete"


class Bitrix24DealContactFieldsOperator(_ContactFields):
    """Describe the fields of a deal's contact link: ``crm.deal.contact.fields``.

    Returns a dict of field name to description.
    """

    api_method = "crm.deal.contact.fields"


class Bitrix24MethodOperator(Bitrix24Operator):
    """Call any REST method of the portal: ``profile``, ``crm.lead.get`` and so on.

    Returns the method's ``result`` as it is. A call about contact links that the portal would read as another
    one is refused, as by the hook.

    :param api_method: Name of the method. (templated)
    :param api_params: Its parameters; ``None`` for none. (templated)
    """

    template_fields: Sequence[str] = (*Bitrix24Operator.template_fields, "api_method", "api_params")
    template_fields_renderers: ClassVar[dict[str, str]] = {"api_params": "json"}

    def __init__(
        self,
        *,
        api_method: str,
        api_params: Mapping[str, Any] | XComArg | None = None,
        **kwargs: Unpack[ConnectedArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.api_method = api_method
        self.api_params = api_params

    def parameters(self) -> dict[str, Any]:
        """Give ``api_params``, checked for their shape.

        :raises InvalidInput: ``api_method`` is no method name, or ``api_params`` no dict.
        """
        name = self.api_method
        if not isinstance(name, str) or is_nothing(name) or not METHOD_NAME.fullmatch(name):
            raise InvalidInput("api_method", name, gettext("the name of a REST method, such as 'profile'"))
        if self.api_params is not None and not isinstance(self.api_params, Mapping):
            raise InvalidInput(
                "api_params", self.api_params, gettext("a dict") + as_rendered(self.api_params)
            )
        return dict(self.api_params or {})

"""The six calls of a link method: what an operator of each takes, and what it says of the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

from airflow.sdk import XComArg

from airflow_bitrix.client.row_pages import fields_in
from airflow_bitrix.core import methods
from airflow_bitrix.core.families import Family, family_of
from airflow_bitrix.core.kind_words import kind_words, named, owners
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.core.links import Owner, list_address, owner_address, positive_id
from airflow_bitrix.links import Bitrix24OwnerLink
from airflow_bitrix.operators.shared.base import Bitrix24Operator
from airflow_bitrix.operators.shared.task_arguments import (
    AddArguments,
    ConnectedArguments,
    Identifier,
    OwnerArguments,
)

Items = Sequence[int | str | Mapping[str, Any]] | str | XComArg
"""What is to be linked; templated."""


class LinkCall(Bitrix24Operator):
    """An operator of a link method; a leaf of it names the method."""

    operator_extra_links = (Bitrix24OwnerLink(),)

    @property
    def family(self) -> Family:
        """What the method's owners are, and what is linked to them."""
        return family_of(methods.METHODS[self.api_method].kind)

    @property
    def _portal(self) -> str:
        return self.hook.settings.portal


class FieldsCall(LinkCall):
    """An operator of ``fields``."""

    def parameters(self) -> dict[str, Any]:
        """Give no parameters."""
        return methods.fields()

    def page(self) -> str:
        """Give the address of the list of all owners."""
        return list_address(self._portal, self.family.kind)

    def outcome(self, parameters: Mapping[str, Any], result: Any) -> str:
        """Name the fields."""
        del parameters
        return gettext(
            "the fields of a link are {names}", names=", ".join(fields_in(self.api_method, result))
        )


class OwnerCall(LinkCall):
    """An operator of a method that is about one owner."""

    template_fields: Sequence[str] = (*Bitrix24Operator.template_fields, "owner_id")

    def __init__(self, *, owner_id: Identifier, **kwargs: Unpack[ConnectedArguments]) -> None:
        """Take the owner.

        :param owner_id: Id of the record whose links are meant: of the lead for an operator of leads, of the
            company for one of companies. (templated)
        """
        super().__init__(**kwargs)
        self.owner_id = owner_id

    def page(self) -> str:
        """Give the address of the owner's card."""
        return owner_address(self._portal, Owner(self.family.kind, positive_id("owner_id", self.owner_id)))

    def title(self, parameters: Mapping[str, Any]) -> str:
        """Name the owner."""
        return named(self._owner(parameters))

    def _owner(self, parameters: Mapping[str, Any]) -> Owner:
        return Owner(self.family.kind, parameters["id"])


class ItemsGetCall(OwnerCall):
    """An operator of ``items.get``."""

    def parameters(self) -> dict[str, Any]:
        """Give the parameters of the call."""
        return methods.items_get(self.owner_id)

    def outcome(self, parameters: Mapping[str, Any], result: Any) -> str:
        """Say what is linked."""
        methods.links_of(self._owner(parameters), result)
        return f"{self.title(parameters)}: {_linked(self.family, result)}"


class _ItemsSet(OwnerCall):
    template_fields: Sequence[str] = (*OwnerCall.template_fields, "items")
    items: Items

    def parameters(self) -> dict[str, Any]:
        """Give the parameters of the call."""
        return methods.items_set(self.owner_id, self.items, self.family.linked)

    def outcome(self, parameters: Mapping[str, Any], result: Any) -> str:
        """Say what is linked now."""
        del result
        return gettext(
            "{owner}: all links replaced, now {contacts}",
            owner=self.title(parameters),
            contacts=_linked(self.family, parameters["items"]),
        )


class SetContactsCall(_ItemsSet):
    """An operator of ``items.set`` where contacts are linked."""

    def __init__(self, *, items: Items, **kwargs: Unpack[OwnerArguments]) -> None:
        """Take the new links.

        :param items: All contacts that the owner is to have, in order: ids, dicts with ``CONTACT_ID`` and, as
            wanted, ``SORT`` and ``IS_PRIMARY``, or a mix. At least one; never a contact twice. (templated)
        """
        super().__init__(**kwargs)
        self.items = items


class SetCompaniesCall(_ItemsSet):
    """An operator of ``items.set`` where companies are linked."""

    def __init__(self, *, items: Items, **kwargs: Unpack[OwnerArguments]) -> None:
        """Take the new links.

        :param items: All companies that the contact is to have, in order: ids, dicts with ``COMPANY_ID`` and,
            as wanted, ``SORT`` and ``IS_PRIMARY``, or a mix. At least one; never a company twice. (templated)
        """
        super().__init__(**kwargs)
        self.items = items


class ItemsDeleteCall(OwnerCall):
    """An operator of ``items.delete``."""

    def parameters(self) -> dict[str, Any]:
        """Give the parameters of the call."""
        return methods.items_delete(self.owner_id)

    def outcome(self, parameters: Mapping[str, Any], result: Any) -> str:
        """Say that nothing is linked any more."""
        del result
        return gettext(
            "{owner}: no {kind} is linked any more",
            owner=self.title(parameters),
            **kind_words(self.family.linked),
        )


class _OneLink(OwnerCall):
    """An operator of a method that is about one link.

    What is linked stands in ``contact_id`` or ``company_id``, whichever the operator takes.
    """

    @property
    def _linked_id(self) -> Identifier:
        found: Identifier = getattr(self, f"{self.family.linked}_id")
        return found

    def _settled(self, said: str) -> str:
        """Tell of an owner that was as it should be, to this call at least."""
        if self.hook.portal.manners.meter.repeats:
            return gettext(
                "{said}, or it is so by an earlier try of this call whose answer was lost", said=said
            )
        return gettext("{said}; nothing changed", said=said)

    def _words(self, parameters: Mapping[str, Any]) -> Mapping[str, str]:
        return {"id": str(parameters["fields"][self.family.key]), **kind_words(self.family.linked)}


class _Add(_OneLink):
    template_fields: Sequence[str] = (*_OneLink.template_fields, "sort", "is_primary")

    def __init__(
        self,
        *,
        sort: int | str | None = None,
        is_primary: bool | str | None = None,
        **kwargs: Unpack[OwnerArguments],
    ) -> None:
        """Take how to link.

        :param sort: Place in the order; ``None`` puts it last. (templated)
        :param is_primary: ``True`` or ``"Y"`` makes it the primary one; ``None`` does not. The first link of
            an owner becomes primary in any case, and a company becomes that of each contact that is linked to
            it. (templated)
        """
        super().__init__(**kwargs)
        self.sort = sort
        self.is_primary = is_primary

    def parameters(self) -> dict[str, Any]:
        """Give the parameters of the call."""
        return methods.add(self.owner_id, self._linked_id, self.sort, self.is_primary, self.family.linked)

    def outcome(self, parameters: Mapping[str, Any], result: Any) -> str:
        """Say whether it was linked already."""
        words = self._words(parameters)
        if result:
            said = gettext("{kind} {id} linked", **words)
        else:
            said = self._settled(gettext("{kind} {id} was linked already", **words))
        return f"{self.title(parameters)}: {said}"


class _Delete(_OneLink):
    def parameters(self) -> dict[str, Any]:
        """Give the parameters of the call."""
        return methods.delete(self.owner_id, self._linked_id, self.family.linked)

    def outcome(self, parameters: Mapping[str, Any], result: Any) -> str:
        """Say whether it was linked."""
        words = self._words(parameters)
        if result:
            said = gettext("{kind} {id} unlinked", **words)
        else:
            said = self._settled(gettext("{kind} {id} was not linked", **words))
        return f"{self.title(parameters)}: {said}"


class AddContactCall(_Add):
    """An operator of ``add`` where contacts are linked."""

    template_fields: Sequence[str] = (*_Add.template_fields, "contact_id")

    def __init__(self, *, contact_id: Identifier, **kwargs: Unpack[AddArguments]) -> None:
        """Take what to link.

        :param contact_id: Id of the contact to link. (templated)
        """
        super().__init__(**kwargs)
        self.contact_id = contact_id


class AddCompanyCall(_Add):
    """An operator of ``add`` where companies are linked."""

    template_fields: Sequence[str] = (*_Add.template_fields, "company_id")

    def __init__(self, *, company_id: Identifier, **kwargs: Unpack[AddArguments]) -> None:
        """Take what to link.

        :param company_id: Id of the company to link. (templated)
        """
        super().__init__(**kwargs)
        self.company_id = company_id


class DeleteContactCall(_Delete):
    """An operator of ``delete`` where contacts are linked."""

    template_fields: Sequence[str] = (*_Delete.template_fields, "contact_id")

    def __init__(self, *, contact_id: Identifier, **kwargs: Unpack[OwnerArguments]) -> None:
        """Take what to unlink.

        :param contact_id: Id of the contact to unlink. (templated)
        """
        super().__init__(**kwargs)
        self.contact_id = contact_id


class DeleteCompanyCall(_Delete):
    """An operator of ``delete`` where companies are linked."""

    template_fields: Sequence[str] = (*_Delete.template_fields, "company_id")

    def __init__(self, *, company_id: Identifier, **kwargs: Unpack[OwnerArguments]) -> None:
        """Take what to unlink.

        :param company_id: Id of the company to unlink. (templated)
        """
        super().__init__(**kwargs)
        self.company_id = company_id


_MOST_SHOWN = 20
"""Ids that a line of the log names."""


def _linked(family: Family, links: Sequence[Mapping[str, Any]]) -> str:
    """Give number and ids of what is linked: ``2 contacts: 7, 8``."""
    if not links:
        return gettext("no {kinds}", **kind_words(family.linked))
    shown = ", ".join(str(link.get(family.key)) for link in links[:_MOST_SHOWN])
    return f"{owners(family.linked, len(links))}: {shown}" + ", …" * (len(links) > _MOST_SHOWN)

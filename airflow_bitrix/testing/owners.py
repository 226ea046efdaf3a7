"""Owners and contacts that a test makes up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow_bitrix.core.contacts import Contact, normal_email
from airflow_bitrix.core.link_writes import STEP
from airflow_bitrix.core.links import ContactLink, LinkSet, Owner, OwnerKind
from airflow_bitrix.core.owner_states import OwnerState
from airflow_bitrix.crm.phones import phone_reader


def lead(id: int = 1, contacts: Sequence[int] = (), **about: Any) -> OwnerState:  # noqa: A002 (as rules read it)
    """Give a lead as a rule sees it, with its links known exactly.

    :param contacts: Ids of its contacts, in order. The first is primary, unless ``primary`` names another
        one, or ``None`` for none.
    :param about: ``company_id``, ``stage_id`` (``"NEW"``), ``semantic`` (``"P"`` in progress, ``"S"``,
        ``"F"``), ``is_repeat``; and ``fields``, what the rule's ``also`` asks for, as the portal tells it.
    """
    return _owner("lead", id, contacts, **about)


def deal(id: int = 1, contacts: Sequence[int] = (), **about: Any) -> OwnerState:  # noqa: A002
    """Give a deal as a rule sees it; see :func:`lead`."""
    return _owner("deal", id, contacts, **about)


def contact(
    id: int,  # noqa: A002
    *,
    phones: Sequence[str] = (),
    emails: Sequence[str] = (),
    region: str = "",
    **about: Any,
) -> Contact:
    """Give a contact as facts hold it: phones and e-mails in the form in which they are compared.

    :param region: The country whose phones are written without their country code, two letters.
    :param about: Other attributes of :class:`~airflow_bitrix.core.contacts.Contact`, as ``company_id``.
    """
    read = phone_reader(region)
    return Contact(id, phones=tuple(map(read, phones)), emails=tuple(map(normal_email, emails)), **about)


_FIRST: Any = object()


def _owner(
    kind: OwnerKind, number: int, contacts: Sequence[int], *, primary: Any = _FIRST, **about: Any
) -> OwnerState:
    first = next(iter(contacts), None) if primary is _FIRST else primary
    links = tuple(
        ContactLink(one, STEP * place, one == first, 0) for place, one in enumerate(contacts, start=1)
    )
    return OwnerState(LinkSet(Owner(kind, number), links), **{"stage_id": "NEW", "semantic": "P", **about})

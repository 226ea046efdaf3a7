"""Assets of a portal, ``bitrix24://acme.bitrix24.com/lead/contact-links``, and what Airflow asks about them.

An asset says nothing of how the portal is reached: neither the user nor the secret of a webhook is in it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from airflow.sdk import Asset, AssetAlias, AssetWatcher

from airflow_bitrix.client.auth import portal_address
from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.families import family_of, row_of
from airflow_bitrix.core.languages import gettext, gettext_noop
from airflow_bitrix.core.links import OWNER_KINDS, OwnerKind, entity_kind, owner_kind

if TYPE_CHECKING:
    from airflow.providers.common.compat.openlineage.facet import Dataset

SCHEME = "bitrix24"

_ACCEPTED = gettext_noop(
    "bitrix24://portal/lead/contact-links, or another kind in place of lead; or bitrix24://portal/lead, "
    "another kind or contact, for the records; or bitrix24://portal/contact/company-links"
)

_KINDS = "|".join((*OWNER_KINDS, r"dynamic_\d{3,10}"))
_PATH = re.compile(
    rf"(?P<folder>(?:/[\w.~-]+)*?)/(?:(?:{_KINDS})(?:/contact-links)?|contact(?:/company-links)?)"
)


def links_asset(portal: str, kind: str) -> Asset:
    """Give the asset that the links of a portal's owners of a kind are: to contacts, or to companies.

    :param portal: Its address, such as ``acme.bitrix24.com``.
    :param kind: A kind of owners, such as ``lead`` or ``dynamic_1036``; ``contact`` for links to companies.
    :raises InvalidInput: One that cannot be right.
    """
    address = _of_portal(portal)
    return Asset(f"{address}/{entity_kind(kind)}/{family_of(kind).linked}-links")


def records_asset(portal: str, kind: str, watchers: Sequence[AssetWatcher] = ()) -> Asset:
    """Give the asset that a portal's records of a kind are.

    :param portal: Its address, such as ``acme.bitrix24.com``.
    :param kind: A kind of owners of contacts, such as ``lead`` or ``dynamic_1036``.
    :param watchers: Who tells that some were saved, such as one with a
        :class:`~airflow_bitrix.triggers.records.Bitrix24RecordsSavedTrigger`.
    :raises InvalidInput: One that cannot be right.
    """
    return Asset(f"{_of_portal(portal)}/{owner_kind(kind)}", watchers=list(watchers))


def links_seen(kind: OwnerKind) -> AssetAlias:
    """Give the alias by which a snapshot tells that the links of owners of a kind are no longer the same."""
    # Aliases are declared before anybody knows which smart process a run is about.
    return AssetAlias(f"bitrix24_{row_of(kind)}_links_seen")


def links_applied(kind: OwnerKind) -> AssetAlias:
    """Give the alias by which an apply tells that it has changed the links of owners of a kind."""
    return AssetAlias(f"bitrix24_{row_of(kind)}_links_applied")


def _of_portal(portal: str) -> str:
    with suppress(ValueError, TypeError):
        parts = urlsplit(portal if "://" in portal else f"https://{portal}")
        folder = parts.path.rstrip("/")
        address = portal_address(f"{parts.scheme}://{parts.netloc}").partition("://")[2]
        if not (parts.query or parts.fragment or _leads_to_rest(folder)):
            return f"{SCHEME}://{address}{folder}"
    # It may be a webhook's address, and that is a secret.
    raise InvalidInput("portal", "***", gettext("the address of a portal, such as 'acme.bitrix24.com'"))


def _leads_to_rest(path: str) -> bool:
    return "rest" in path.lower().split("/")


# -- what Airflow asks about addresses of the scheme --------------------------------------------------------


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """Give an address of an asset in the one form that it has.

    :raises InvalidInput: It is none; also a ``ValueError``. Where it may hold a secret, it is not shown.
    """
    found = None if _leads_to_rest(uri.path) else _PATH.fullmatch(uri.path)
    if found is None or uri.query or uri.fragment or "@" in uri.netloc:
        raise InvalidInput("uri", "***", gettext(_ACCEPTED))
    return uri._replace(scheme=SCHEME, netloc=portal_address(uri.netloc).partition("://")[2])


def create_asset(*, portal: str, kind: str, extra: Mapping[str, Any] | None = None) -> Asset:
    """Make the asset of links, as lineage collectors of Airflow do."""
    return Asset(links_asset(portal, kind).uri, extra=dict(extra or {}))


def convert_asset_to_openlineage(asset: Asset, lineage_context: object) -> Dataset:
    """Give the data set that OpenLineage knows an asset by."""
    from airflow.providers.common.compat.openlineage.facet import Dataset  # noqa: PLC0415 (may be missing)

    del lineage_context
    return Dataset(**dataset_of(asset.uri))


def dataset_of(uri: str) -> dict[str, str]:
    """Give namespace and name of the data set that an asset is: the portal, and what it is there."""
    parts = sanitize_uri(urlsplit(uri))
    folder = _PATH.fullmatch(parts.path)
    path = folder["folder"] if folder else ""
    return {"namespace": f"{SCHEME}://{parts.netloc}{path}", "name": parts.path.removeprefix(f"{path}/")}

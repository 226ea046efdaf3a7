"""Phones: one form for all ways of writing a number, and what a portal knows of numbers.

Follows https://apidocs.bitrix24.com/api-reference/crm/duplicates/crm-duplicate-find-by-comm.html and, as the
portal's own source has it, ``crm.address.getzoneid``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING

from airflow_bitrix.client.portal import AsyncPortal
from airflow_bitrix.client.wire import Call
from airflow_bitrix.core.contacts import normal_phone
from airflow_bitrix.core.errors import Bitrix24Error
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.core.numbers import told_id

if TYPE_CHECKING:
    from phonenumbers import PhoneNumber

_EXTENSION = re.compile(r"(?<![\s,.])[\s,.]*+\b(внутр\w*|вн|доб\w*)\b[.:\s]*", re.IGNORECASE)
"""Words for an extension that the library does not know."""

_EXT = " ext "

_BEFORE = re.compile(r"^\D*(00)?")

_ZONES = {
    "br": "BR", "by": "BY", "cn": "CN", "co": "CO", "de": "DE", "fr": "FR", "hi": "IN", "id": "ID",
    "in": "IN", "it": "IT", "ja": "JP", "kz": "KZ", "ms": "MY", "mx": "MX", "pl": "PL", "ru": "RU",
    "th": "TH", "tr": "TR", "ua": "UA", "uk": "GB", "vn": "VN",
}  # fmt: skip
"""The country of a portal's address zone; ``en``, ``eu``, ``la`` and others are those of several."""

FIND = "crm.duplicate.findbycomm"

_LONGEST = 1000
"""Signs of a phone or an e-mail."""

MOST_HOLDERS = 20
"""Contacts that the portal names for one spelling of a phone, and more than anybody is one of."""


def phone_reader(region: str) -> Callable[[str], str]:
    """Give what brings a phone into one form, whoever wrote it.

    ``+74951234567`` for a number of a numbering plan, ``+74951234567;ext=12`` with an extension: a number
    with one belongs to somebody else than that without. What is no such number is its digits, extensions
    included, and nothing where these are fewer than five.

    :param region: The country whose numbers may lack their country code, two letters; empty where none is
        known: then only numbers with one are brought into one form.
    """
    import phonenumbers as plans  # noqa: PLC0415 (it takes a moment, and few tasks compare phones)

    def parsed(text: str, of: str | None) -> PhoneNumber | None:
        try:
            return plans.parse(text, of)
        except plans.NumberParseException:
            return None

    def known(text: str) -> PhoneNumber | None:
        found = parsed(text, region or None)
        digits = "".join(filter(str.isdecimal, text))
        if found and plans.is_valid_number(found):
            return found
        within = list(plans.PhoneNumberMatcher(text, region or None))
        if len(within) == 1 and sum(map(str.isdecimal, within[0].raw_string)) == len(digits):
            return within[0].number  # with words around it
        if "+" in text:
            return None
        # Most countries dial abroad by 00, and many people write a country code without its plus.
        abroad = parsed(f"+{_BEFORE.sub('', text)}", None)
        if abroad and plans.is_valid_number(abroad):
            return abroad
        is_whole = found and plans.is_possible_number_with_reason(found) == plans.ValidationResult.IS_POSSIBLE
        return found if is_whole and not digits.startswith("00") else None

    def read(text: str) -> str:
        digits = normal_phone(text)
        number = known(_EXTENSION.sub(_EXT, text)) if digits else None
        if number is None or _has_letters(str(number.national_number), text):
            return digits
        form = plans.format_number(number, plans.PhoneNumberFormat.E164)
        return f"{form};ext={number.extension}" if number.extension else form

    return read


def _has_letters(national: str, text: str) -> bool:
    """Whether a number has letters in it: the library reads them as the digits that they share a key with."""
    written = "".join(str(int(sign)) for sign in text if sign.isdecimal())
    return national not in written and any(map(str.isalpha, text))


def spellings(phone: str) -> list[str]:
    """Give the digits by which the portal may know a phone: with and without its country code.

    :param phone: What :func:`phone_reader` gave.
    """
    digits, _, extension = phone.removeprefix("+").partition(";ext=")
    if not phone.startswith("+"):
        return [digits]
    import phonenumbers as plans  # noqa: PLC0415

    try:
        national = plans.national_significant_number(plans.parse(f"+{digits}", None))
    except plans.NumberParseException:  # a rule made it up
        return [f"{digits}{extension}"]
    return [f"{one}{extension}" for one in (digits, national, f"0{national}")]


def can_be_held(value: object) -> bool:
    """Whether something may be a phone or an e-mail: of nothing the portal would tell no holders."""
    return (
        isinstance(value, str)
        and len(value) <= _LONGEST
        and ("@" in value or any(sign.isdecimal() for sign in value))
    )


async def holders(portal: AsyncPortal, means: Sequence[str]) -> dict[str, frozenset[int]]:
    """Say which contacts hold each phone or e-mail, 50 of them a request; the first 20 by id where more do.

    The portal compares phones by rules of its own, and of what the user may not read it tells all the same.

    :param means: Phones as :func:`phone_reader` gives them, and e-mails.
    :raises Bitrix24Error: The portal refused, or its answer names no contacts.
    """
    found: dict[str, frozenset[int]] = {}
    async with aclosing(portal.stream(map(_find, means))) as outcomes:
        at = iter(means)
        async for outcome in outcomes:
            if outcome.answer is None:
                raise outcome.error or Bitrix24Error(gettext("{find}: no answer", find=FIND), method=FIND)
            found[next(at)] = frozenset(sorted(_contacts(outcome.answer.result))[:MOST_HOLDERS])
    return found


def _find(one: str) -> Call:
    kind, values = ("EMAIL", [one]) if "@" in one else ("PHONE", spellings(one))
    return Call(FIND, {"type": kind, "values": values, "entity_type": "CONTACT"})


def _contacts(result: object) -> set[int]:
    named = result.get("CONTACT", []) if isinstance(result, dict) else result
    ids = [told_id(one) for one in named] if isinstance(named, list) else [None]
    if None in ids or (named and not isinstance(result, dict)):
        raise Bitrix24Error(
            gettext("{find}: the portal answered no list of contacts", find=FIND), method=FIND
        )
    return {one for one in ids if one}


async def portal_region(portal: AsyncPortal) -> str:
    """Give the country that the portal's settings tell, two letters; empty where they tell none.

    :raises Bitrix24Error: The portal refused.
    """
    zone = await portal.call("crm.address.getzoneid")
    return _ZONES.get(zone.lower(), "") if isinstance(zone, str) else ""

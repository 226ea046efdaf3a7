"""Filters that people give, looked at before anything is read by them: their form, names and values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from airflow_bitrix.client.commands import MOST_VALUES, command_of
from airflow_bitrix.client.filters import FILTER, check_keys, is_logic, joins_links
from airflow_bitrix.client.portal import AsyncPortal
from airflow_bitrix.client.wire import Call
from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.languages import gettext, gettext_noop
from airflow_bitrix.core.links import EntityKind
from airflow_bitrix.core.wording import as_rendered
from airflow_bitrix.crm.filter_values import check_stages, checked_values
from airflow_bitrix.crm.known_values import known_values

_VALUES = gettext_noop(
    "a value for each field: text, a number, True, False, or a list of them that is not empty; at most "
    "{most} in all, and no references to other commands. False asks for those where a field is empty"
)


def check_form(wanted: object) -> None:
    """Refuse a filter that no request can express, whatever fields the portal has. Asks nobody.

    :raises InvalidInput: Names the filter.
    """
    if not isinstance(wanted, Mapping):
        raise InvalidInput("filter", wanted, gettext(FILTER) + as_rendered(wanted))
    check_keys(wanted)
    _check_signs(wanted)
    if joins_links(wanted):
        # A scan takes a short page for the last of its range.
        raise InvalidInput(
            "filter", dict(wanted), gettext("one condition with contactIds, on one contact id")
        )
    try:
        command_of(Call("crm.item.list", {"filter": _as_text(wanted)} if wanted else {}))
    except InvalidInput:
        raise InvalidInput("filter", dict(wanted), gettext(_VALUES, most=MOST_VALUES)) from None


async def checked_filter(
    portal: AsyncPortal, kind: EntityKind, wanted: Mapping[str, Any], *, stages: Sequence[str] = ()
) -> dict[str, Any]:
    """Give a filter as the portal reads it rightly. Takes one request, or none where nothing is asked for.

    :param stages: Ids of stages that are to be looked at with it.
    :raises InvalidInput: Names the filter or ``stages``, what cannot be right there, and what is accepted.
    """
    check_form(wanted)
    if not wanted and not stages:
        return {}
    known = await known_values(portal, kind)
    if stages:
        check_stages(stages, known)
    return checked_values(wanted, known)


def _check_signs(wanted: Mapping[str, Any]) -> None:
    """Refuse what the portal takes no notice of, or takes for a question about nothing."""
    if wanted and all(map(is_logic, wanted)):
        raise InvalidInput(
            "filter", dict(wanted), gettext("conditions beside 'logic': alone it would ask for all")
        )
    for key, value in wanted.items():
        if key.startswith(("><", "!><")):
            raise InvalidInput("filter", {key: value}, gettext("a range as two conditions, with >= and <="))
        if is_logic(key) and str(value).upper() not in ("AND", "OR"):
            raise InvalidInput("filter", {key: value}, gettext("'AND' or 'OR'"))
        if isinstance(value, Mapping):
            _check_signs(value)
        elif any(map(_is_nothing, value if isinstance(value, (list, tuple)) else [value])):
            problem = gettext(
                "nothing is given for {key}, as by a template that comes to nothing: {value}",
                key=key,
                value=repr(value),
            )
            raise InvalidInput("filter", {key: value}, gettext(_VALUES, most=MOST_VALUES), problem=problem)


def _is_nothing(value: object) -> bool:
    return value is None or (isinstance(value, str) and value.strip() in ("", "None"))


def _as_text(wanted: Any) -> Any:
    """Give a filter with its days and moments as texts, which is how they are sent."""
    if isinstance(wanted, Mapping):
        return {key: _as_text(value) for key, value in wanted.items()}
    if isinstance(wanted, (list, tuple)):
        return [_as_text(one) for one in wanted]
    return wanted.isoformat() if isinstance(wanted, date) else wanted

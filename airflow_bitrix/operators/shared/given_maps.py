"""Maps of ids as operators are given them: a file, a map, or pairs, by one argument or by either of two."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.core.migrations import MapRow
from airflow_bitrix.files.maps import map_rows, read_map
from airflow_bitrix.operators.shared.artifacts import named_file
from airflow_bitrix.operators.shared.parameters import is_nothing


def given_rows(arguments: Mapping[str, Any], title: str) -> Iterator[MapRow]:
    """Give the rows of a map.

    :param arguments: What each argument holds that may give it; the first is named where none does.
    :param title: What trigger forms call it.
    :raises InvalidInput: None of the arguments holds a map, or several do; later, that a row is none.
    """
    chosen = [name for name, value in arguments.items() if not is_nothing(value)]
    if len(chosen) > 1:
        raise InvalidInput(", ".join(arguments), dict(arguments), gettext("one of the two, and only one"))
    argument = (chosen or list(arguments))[0]
    given = arguments[argument]
    if isinstance(given, str) and chosen:
        return read_map(named_file(argument, given), argument)
    if not chosen or not isinstance(given, Iterable):
        form = gettext(" (in the trigger form: {title})", title=title)
        accepted = gettext(
            "the path of a CSV or JSON Lines file, a map of old to new ids, or a list of pairs{form}",
            form=form,
        )
        problem = "" if chosen else gettext("no map is given")
        raise InvalidInput(argument, given, accepted, problem=problem)
    return map_rows(given, argument)

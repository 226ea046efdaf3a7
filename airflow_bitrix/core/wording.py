"""Words that several sentences have: numbers with what they count, and what templates make of lists."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """Give a number and what it counts: ``1 lead``, ``2,500 leads``.

    :param noun: One of them; its plural ends in ``s``.
    """
    return f"{number:,} {noun}{'s' * (number != 1)}"


def as_rendered(value: object) -> str:
    """Say how a template gives a list or a map, where a text came in its place; else nothing.

    ``params.items`` is a method of the map that the params are, and no parameter.
    """
    if isinstance(value, str) and "<built-in method items" in value:
        return " (in a template, params.items is no parameter: say params['items'])"
    is_one = isinstance(value, str) and value.strip()
    return " (in a template, set render_template_as_native_obj=True on the DAG)" if is_one else ""

"""Which record of one portal is which of another: by what the records carry, or by a map."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.families import family_of
from airflow_bitrix.core.kind_words import kind_words
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.core.links import OwnerKind

MatchName = Literal["origin", "same_origin", "field", "map"]
MATCHES: tuple[MatchName, ...] = get_args(MatchName)

ORIGIN = ("originatorId", "originId")

BY_ORIGIN: tuple[MatchName, ...] = ("origin", "same_origin")
"""Those that go by these fields."""

Key = tuple[str, str]
"""What a target record is known by: the originator and the id there; the originator is empty with a field."""


@dataclass(frozen=True, slots=True)
class Matching:
    """How records of the target are found for those of the source. Equal texts match, nothing less.

    :param by: ``origin``: the target's ORIGIN_ID holds the source's id, and its ORIGINATOR_ID is
        ``originator``. ``same_origin``: both carry the same ORIGINATOR_ID and ORIGIN_ID. ``field``: a custom
        field of the target holds the source's id. ``map``: maps of ids say it.
    :param originator: With ``origin``.
    :param match_field: With ``field``: its name, as ``ufCrmSourceId``.
    :param owner_map: With ``map``: an owner of the target by that of the source.
    :param contact_map: With ``map``: a contact of the target by that of the source.
    """

    by: MatchName
    originator: str = ""
    match_field: str = ""
    owner_map: Mapping[int, int] = field(default_factory=dict)
    contact_map: Mapping[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a matching that lacks what it goes by.

        :raises InvalidInput: Names the argument.
        """
        if self.by not in MATCHES:
            raise InvalidInput("match", self.by, " or ".join(map(repr, MATCHES)))
        if self.by == "origin" and not (isinstance(self.originator, str) and self.originator):
            raise InvalidInput(
                "originator",
                self.originator,
                gettext("the ORIGINATOR_ID that the target's records carry, by which match 'origin' goes"),
            )
        if self.by == "field" and not (isinstance(self.match_field, str) and self.match_field):
            raise InvalidInput(
                "match_field",
                self.match_field,
                gettext("a field of the target, such as 'ufCrmSourceId', by which match 'field' goes"),
            )

    @property
    def source_fields(self) -> tuple[str, ...]:
        """Fields that have to be read of the source's records."""
        return ORIGIN if self.by == "same_origin" else ()

    @property
    def target_fields(self) -> tuple[str, ...]:
        """Fields that have to be read of the target's records."""
        return (self.match_field,) if self.by == "field" else ORIGIN

    def key(self, source_id: int, fields: Mapping[str, Any]) -> Key | None:
        """Give what the target's record is known by; ``None`` where the source's record does not say."""
        if self.by == "same_origin":
            originator, origin = (as_text(fields.get(name)) for name in ORIGIN)
            return (originator, origin) if originator and origin else None
        return (self.originator if self.by == "origin" else "", str(source_id))

    def condition(self, originator: str, origins: list[str]) -> dict[str, Any]:
        """Give the ``crm.item.list`` filter that finds the records of some keys of one originator."""
        if self.by == "field":
            return {f"@{self.match_field}": origins}
        return {"=originatorId": originator, "@originId": origins}

    def keys_of(self, row: Mapping[str, Any]) -> list[Key]:
        """Give the keys that a record of the target carries; several where its field is a multiple one."""
        if self.by == "field":
            value = row.get(self.match_field)
            return [("", as_text(one)) for one in (value if isinstance(value, list) else [value])]
        return [(as_text(row.get(ORIGIN[0])), as_text(row.get(ORIGIN[1])))]


def check_match(by: str, kind: OwnerKind) -> None:
    """Refuse to match owners by fields that their kind does not have.

    :raises InvalidInput: Names the argument.
    """
    if by in BY_ORIGIN and not family_of(kind).has_origin:
        accepted = gettext(
            "'field' or 'map', as {kinds} have neither ORIGINATOR_ID nor ORIGIN_ID", **kind_words(kind)
        )
        raise InvalidInput("match", by, accepted)


def as_text(value: Any) -> str:
    """Give a field's value as text: numbers as their digits, nothing as an empty text."""
    if value is None or isinstance(value, bool):
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value)

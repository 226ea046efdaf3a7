"""What a portal calls its records, for people to read: nothing that is decided goes by it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from airflow_bitrix.core.foreign_text import as_plain_text

LONGEST_NAME = 120
"""Signs of a name that are shown; it is somebody else's text, of any length."""


@dataclass(frozen=True, slots=True)
class OwnerNames:
    """What an owner and its contacts are called; empty, or left out, what could not be read.

    :param title: Its title; of companies and contacts their name.
    :param stage: The name of the stage that it is in.
    :param responsible: The name of the person who is responsible.
    :param contacts: The names of what is linked to it, by id.
    :param companies: The names of companies that it had or gets, by id, where a change gives it another one.
    """

    title: str = ""
    stage: str = ""
    responsible: str = ""
    contacts: Mapping[int, str] = field(default_factory=dict)
    companies: Mapping[int, str] = field(default_factory=dict)


NAMELESS = OwnerNames()


@dataclass(frozen=True, slots=True)
class Names:
    """The names of many owners and contacts, as a portal told them.

    :param owners: Title, stage and responsible person of owners, by id.
    :param contacts: The names of contacts, by id.
    :param companies: The names of companies, by id.
    """

    owners: Mapping[int, OwnerNames]
    contacts: Mapping[int, str]
    companies: Mapping[int, str] = field(default_factory=dict)

    def of(
        self, owner_id: int, contact_ids: Iterable[int] = (), company_ids: Iterable[int] = ()
    ) -> OwnerNames:
        """Give the names of an owner, and of those of some contacts and companies that have one."""
        owner = self.owners.get(owner_id, NAMELESS)
        contacts = {one: name for one in contact_ids if (name := self.contacts.get(one))}
        companies = {one: name for one in company_ids if (name := self.companies.get(one))}
        return replace(owner, contacts=contacts, companies=companies)


def name_of(*parts: object) -> str:
    """Give a name of the parts that a portal tells of it; empty where it tells none.

    What is no text, such as a map in the place of a name, is none.
    """
    return as_plain_text(" ".join(part.strip() for part in map(_text, parts) if part.strip()), LONGEST_NAME)


def _text(part: object) -> str:
    # Whatever its length, no more is looked at than is shown; what is cut off may hold half of a secret.
    return as_plain_text(part, LONGEST_NAME) if isinstance(part, str) else ""

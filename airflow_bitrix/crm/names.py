"""What owners, contacts, stages and users are called, 2,500 records a request.

Follows https://apidocs.bitrix24.com/api-reference/crm/universal/crm-item-list.html,
https://apidocs.bitrix24.com/api-reference/crm/status/crm-status-list.html and
https://apidocs.bitrix24.com/api-reference/user/user-get.html; the last one needs the scope ``user``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import aclosing
from typing import Any, Literal, NamedTuple

from airflow_bitrix.client.portal import AsyncPortal
from airflow_bitrix.client.row_pages import PAGE, id_in
from airflow_bitrix.client.wire import Call
from airflow_bitrix.core.errors import Bitrix24Error
from airflow_bitrix.core.families import family_of
from airflow_bitrix.core.links import EntityKind, OwnerKind
from airflow_bitrix.core.names import Names, OwnerNames, name_of
from airflow_bitrix.core.numbers import told_id
from airflow_bitrix.crm.known_values import directories_in, is_of_stages
from airflow_bitrix.crm.pages import page_in
from airflow_bitrix.crm.scan import item_list

Unread = Literal["owners", "contacts", "companies", "stages", "users"]
"""What names there are, by whose they are."""

_OWNER = ("stageId", "assignedById")
_PERSON = ("name", "secondName", "lastName")
_USER = ("ID", "NAME", "SECOND_NAME", "LAST_NAME")

_Asked = tuple[Unread, Call]

_Take = Callable[[Mapping[str, Any]], None]


class _Owner(NamedTuple):
    title: str
    stage: str
    responsible_id: int


class NameReads:
    """Reads names of owners of a kind; stages and users once.

    What the portal refuses has no names, and is not asked for again.

    :param portal: The portal.
    :param kind: Of which owners.
    """

    def __init__(self, portal: AsyncPortal, kind: OwnerKind) -> None:
        self.unread: dict[Unread, str] = {}
        """Why names could not be read, in the portal's words."""
        self._portal, self._kind = portal, kind
        self._stages: Mapping[str, str] | None = None
        self._users: dict[int, str] = {}

    async def read(
        self, owner_ids: Iterable[int], contact_ids: Iterable[int], company_ids: Iterable[int] = ()
    ) -> Names:
        """Give the names of owners, contacts and companies; those that cannot be read are left out.

        Where the owners are contacts, those linked are companies.

        All is asked for together, 50 pages of 50 a request; only the users behind it.
        """
        owners: dict[int, _Owner] = {}
        contacts: dict[int, str] = {}
        companies: dict[int, str] = {}

        def take_owner(row: Mapping[str, Any]) -> None:
            title = name_of(*map(row.get, _parts(self._kind)))
            told = _Owner(title, name_of(row.get("stageId")), told_id(row.get("assignedById")) or 0)
            owners[id_in("crm.item.list", "id", row)] = told

        linked = family_of(self._kind).linked
        what: Unread = "contacts" if linked == "contact" else "companies"

        def asked() -> Iterator[_Asked]:
            if self._stages is None:
                yield "stages", Call("crm.status.list", {})
            for ids in _pages(owner_ids):
                yield "owners", _named_list(self._kind, ids, _OWNER)
            for ids in _pages(contact_ids):
                yield what, _named_list(linked, ids)
            for ids in _pages(company_ids):
                yield "companies", _named_list("company", ids)

        take: dict[Unread, _Take] = {"owners": take_owner, "companies": _into(companies, "company")}
        take[what] = _into(contacts, linked)
        await self._ask(asked(), take)
        await self._read_users({one.responsible_id for one in owners.values()} - {0})
        named = {owner_id: self._named(one) for owner_id, one in owners.items()}
        return Names(named, contacts, companies)

    def _named(self, owner: _Owner) -> OwnerNames:
        """Put names in the place of ids, as far as they are known."""
        stage = (self._stages or {}).get(owner.stage, owner.stage)
        user = owner.responsible_id
        return OwnerNames(owner.title, stage, self._users.get(user, "") or (str(user) if user else ""))

    async def _read_users(self, ids: AbstractSet[int]) -> None:
        def take(row: Mapping[str, Any]) -> None:
            self._users[id_in("user.get", "ID", row)] = name_of(*(row.get(part) for part in _USER[1:]))

        new = sorted(ids - self._users.keys())
        self._users |= dict.fromkeys(new, "")  # who is not told now is not asked for again
        asked: Iterator[_Asked] = (("users", _users(page)) for page in _pages(new))
        await self._ask(asked, {"users": take})

    async def _ask(self, asked: Iterable[_Asked], take: Mapping[Unread, _Take]) -> None:
        """Ask for pages, and take their rows."""
        sent: list[Unread] = []

        def calls() -> Iterator[Call]:
            for what, call in asked:
                if what not in self.unread:
                    sent.append(what)
                    yield call

        async with aclosing(self._portal.stream(calls())) as outcomes:
            number = 0
            async for outcome in outcomes:
                what, number = sent[number], number + 1
                try:
                    if what == "stages":
                        self._stages = self._stages_in(outcome.result)
                    else:
                        await page_in(self._portal, outcome, take[what])
                except Bitrix24Error as error:
                    self.unread.setdefault(what, str(error))

    def _stages_in(self, answer: object) -> Mapping[str, str]:
        stages = family_of(self._kind).stages
        return {
            stage: name_of(name)
            for directory, entries in directories_in(answer).items()
            if is_of_stages(directory, stages)
            for stage, name in entries.items()
        }


def _parts(kind: EntityKind) -> Sequence[str]:
    """Give the fields in which the name of a record stands."""
    return _PERSON if kind == "contact" else ("title",)


def _named_list(kind: EntityKind, ids: list[int], also: Sequence[str] = ()) -> Call:
    return item_list(kind, ("id", *_parts(kind), *also), {"@id": ids}, "ASC")


def _into(found: dict[int, str], kind: EntityKind) -> _Take:
    """Give what takes the name of a record."""

    def take(row: Mapping[str, Any]) -> None:
        if name := name_of(*map(row.get, _parts(kind))):
            found[id_in("crm.item.list", "id", row)] = name

    return take


def _users(ids: list[int]) -> Call:
    return Call(
        "user.get", {"filter": {"ID": ids}, "select": list(_USER), "sort": "ID", "order": "ASC", "start": 0}
    )


def _pages(ids: Iterable[int]) -> Iterator[list[int]]:
    numbers = list(dict.fromkeys(ids))
    return (numbers[at : at + PAGE] for at in range(0, len(numbers), PAGE))

"""What the operators about migrations share: which migration, of which owners, by which maps."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Unpack, cast

from airflow_bitrix.client.portal import AsyncPortal
from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.families import LinkedKind, row_of
from airflow_bitrix.core.kind_words import kind_words, owners
from airflow_bitrix.core.languages import gettext, gettext_noop
from airflow_bitrix.core.links import OWNER_ROWS, OwnerKind, entity_kind
from airflow_bitrix.core.matching import MATCHES, Matching, MatchName, check_match
from airflow_bitrix.core.migrations import (
    EXTRAS,
    MIGRATIONS,
    Extra,
    MapRow,
    MigrationName,
    Step,
    chained,
    one_to_one,
    single,
)
from airflow_bitrix.crm.filter_checks import check_form, checked_filter
from airflow_bitrix.crm.scan import Detail
from airflow_bitrix.engine import migrations
from airflow_bitrix.engine.matching import check_match_field
from airflow_bitrix.engine.migrations import Read
from airflow_bitrix.engine.transfers import Transfer
from airflow_bitrix.files.parked_owners import Pairing
from airflow_bitrix.hooks.opening import opened, opened_async
from airflow_bitrix.operators.shared.constants import check_constants
from airflow_bitrix.operators.shared.given_maps import given_rows
from airflow_bitrix.operators.shared.migration_checks import (
    check_deals_are_seen,
    check_new_ones,
    check_source_is_seen,
)
from airflow_bitrix.operators.shared.parameters import is_nothing, is_open, switch, text
from airflow_bitrix.operators.shared.pipeline import LinkPlanOperator
from airflow_bitrix.operators.shared.task_arguments import MapGiven, PipelineArguments

if TYPE_CHECKING:
    from airflow_bitrix.hooks.bitrix24 import Bitrix24AsyncHook
    from airflow_bitrix.hooks.settings import Settings

_KINDS: Mapping[MigrationName, tuple[OwnerKind, ...]] = {
    "contact_map": OWNER_ROWS,
    "company_map": ("contact",),
    "lead_to_deal": ("deal",),
    "release_moved_leads": ("lead",),
    "portal_to_portal": OWNER_ROWS,
}

_OWN: Mapping[MigrationName, frozenset[str]] = {
    "contact_map": frozenset({"contact_map", "contact_map_file"}),
    "company_map": frozenset({"company_map", "company_map_file"}),
    "lead_to_deal": frozenset(),
    "release_moved_leads": frozenset({"save", "believe_any_user"}),
    "portal_to_portal": frozenset({"source_conn_id"}),
}
"""Arguments that a migration goes by, beside those that all do."""

_REPLACED: Mapping[MigrationName, LinkedKind] = {"contact_map": "contact", "company_map": "company"}
"""What a migration replaces that goes by a map alone, which has its name."""

_FORM_TITLES: Mapping[LinkedKind, str] = {
    "contact": gettext_noop("Map file, or Contacts"),
    "company": gettext_noop("Map file, or Companies"),
}

_OF_MATCH: Mapping[MatchName, frozenset[str]] = {
    "origin": frozenset({"originator"}),
    "same_origin": frozenset(),
    "field": frozenset({"match_field"}),
    "map": frozenset({"owner_map", "contact_map", "contact_map_file"}),
}
"""Arguments that ``portal_to_portal`` goes by as well, by the way records are matched."""


class MigrationArguments(LinkPlanOperator):
    """Takes and checks the arguments of a migration, and gives its steps.

    :param migration: ``contact_map``: in the place of each old contact comes the new one.
        ``company_map``: on contacts, in the place of each old company comes the new one.
        ``lead_to_deal``: deals get the contacts of the leads that they were made from.
        ``release_moved_leads``: leads lose the contacts that all their deals hold.
        ``portal_to_portal``: owners get the links that they have in another portal. (templated)
    :param kind: The kind of the owners that change, ``lead`` or ``deal``; with ``contact_map`` and
        ``portal_to_portal`` any kind of owners, also ``quote``, ``company``, ``smart_invoice``, or
        ``dynamic_1036`` for the smart process 1036, which has this number in both portals. With
        ``company_map`` it is ``contact``. ``None`` where the migration says it. (templated)
    :param filter: A ``crm.item.list`` filter, camelCase names; ``None`` for all. It is about the owners that
        change; with ``portal_to_portal`` about the owners of the source. With ``release_moved_leads`` it is
        about deals: only leads are concerned that one of them was made from. An unknown field is refused.
        (templated)
    :param contact_map: Old contacts and new ones, with ``contact_map`` and with ``match="map"``: the path or
        address of a CSV or JSON Lines file, a map, or a list of pairs. (templated)
    :param contact_map_file: In place of ``contact_map``: the path or address of a file. A form that asks for
        either can hand on both, and it is an error where both are given. (templated)
    :param company_map: The same for companies, with ``company_map``. (templated)
    :param company_map_file: In place of ``company_map``: the path or address of a file. (templated)
    :param owner_map: The same for owners, with ``match="map"``. (templated)
    :param save: With ``release_moved_leads``: save each lead, so that it stops being a repeat lead. A save
        starts the portal's automation. (templated)
    :param believe_any_user: With ``release_moved_leads``: whether to believe a user who is no administrator,
        and may not see a deal that lacks a contact. (templated)
    :param source_conn_id: With ``portal_to_portal``: the connection of the portal that is read. (templated)
    :param match: How the target's records are found, see :class:`~airflow_bitrix.core.matching.Matching`:
        ``origin``, ``same_origin``, ``field`` or ``map``. Quotes, invoices and items of smart processes have
        nothing that the first two go by. (templated)
    :param originator: With ``match="origin"``: the ORIGINATOR_ID of the target's records. (templated)
    :param match_field: With ``match="field"``: the field of the target's owners and contacts that holds the
        source's id, such as ``ufCrmSourceId``. (templated)
    :param extra: With ``portal_to_portal``, links that only the target has: ``keep`` them behind the
        others, or ``remove`` them, which takes the webhook of an administrator of the source. (templated)
    :param detail: With ``portal_to_portal``: ``full`` compares sorts too, which takes one command for each
        owner with contacts in both portals. ``ids`` compares contacts, order and primary, 2,500 owners a
        request. (templated)
    """

    template_fields: Sequence[str] = (
        *LinkPlanOperator.template_fields,
        "migration",
        "kind",
        "filter",
        "contact_map",
        "contact_map_file",
        "company_map",
        "company_map_file",
        "owner_map",
        "save",
        "believe_any_user",
        "source_conn_id",
        "match",
        "originator",
        "match_field",
        "extra",
        "detail",
    )

    def __init__(
        self,
        *,
        migration: str,
        kind: str | None = None,
        filter: Mapping[str, Any] | str | None = None,  # noqa: A002 (the portal's own word for it)
        contact_map: MapGiven = None,
        contact_map_file: str | None = None,
        company_map: MapGiven = None,
        company_map_file: str | None = None,
        owner_map: MapGiven = None,
        save: bool | str = False,
        believe_any_user: bool | str = False,
        source_conn_id: str | None = None,
        match: str = "origin",
        originator: str | None = None,
        match_field: str | None = None,
        extra: str = "keep",
        detail: str = "full",
        **kwargs: Unpack[PipelineArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.migration = migration
        self.kind = kind
        self.filter = filter
        self.contact_map = contact_map
        self.contact_map_file = contact_map_file
        self.company_map = company_map
        self.company_map_file = company_map_file
        self.owner_map = owner_map
        self.save = save
        self.believe_any_user = believe_any_user
        self.source_conn_id = source_conn_id
        self.match = match
        self.originator = originator
        self.match_field = match_field
        self.extra = extra
        self.detail = detail
        check_constants(
            self,
            ("migration", self.migration_name),
            ("migration kind", self.owners_kind),
            ("match extra detail filter", self._check_words),
        )

    def migration_name(self) -> MigrationName:
        """Give the migration.

        :raises InvalidInput: There is no such migration.
        """
        for name in MIGRATIONS:
            if self.migration == name:
                return name
        raise InvalidInput("migration", self.migration, " or ".join(map(repr, MIGRATIONS)))

    def owners_kind(self) -> OwnerKind:
        """Give the kind of the owners that change.

        :raises InvalidInput: The migration is not about such owners, or cannot match them.
        """
        kinds = _KINDS[self.migration_name()]
        if is_nothing(self.kind) and len(kinds) == 1:
            return kinds[0]
        kind = entity_kind(self.kind)
        if row_of(kind) not in kinds:
            one_of = {"kinds": gettext(" or ").join(map(repr, kinds)), "migration": self.migration}
            raise InvalidInput("kind", kind, gettext("{kinds} with {migration}", **one_of))
        if self.migration == "portal_to_portal":
            check_match(self.match, kind)
        return kind

    def check_arguments(self) -> None:
        """Check all arguments and read the maps, before anything is sent.

        :raises InvalidInput: Names the argument.
        """
        name = self.migration_name()
        self.owners_kind()
        given = {
            "contact_map": self.contact_map,
            "contact_map_file": self.contact_map_file,
            "company_map": self.company_map,
            "company_map_file": self.company_map_file,
            "owner_map": self.owner_map,
            "source_conn_id": self.source_conn_id,
            "save": switch("save", self.save),
            "believe_any_user": switch("believe_any_user", self.believe_any_user),
            "originator": self.originator,
            "match_field": self.match_field,
        }
        self._check_words()
        own, what = _OWN[name], str(name)
        if name == "portal_to_portal":
            own |= _OF_MATCH[cast("MatchName", self.match)]
            what = gettext("{name} by {match}", name=name, match=repr(self.match))
        for argument, value in given.items():
            if value and not is_nothing(value) and argument not in own:
                raise InvalidInput(argument, value, gettext("nothing with {what}", what=what))
        if linked := _REPLACED.get(name):
            self.log.info("%s", gettext("to be replaced: {count}", count=owners(linked, len(self._new))))
        if name == "portal_to_portal":
            self._check_portals()

    def _check_words(self) -> None:
        if self.match not in MATCHES:
            raise InvalidInput("match", self.match, " or ".join(map(repr, MATCHES)))
        if self.extra not in EXTRAS:
            raise InvalidInput("extra", self.extra, " or ".join(map(repr, EXTRAS)))
        if self.detail not in ("ids", "full"):
            raise InvalidInput("detail", self.detail, gettext("'ids' or 'full'"))
        check_form(self._filter)

    def _check_portals(self) -> None:
        if not isinstance(self.source_conn_id, str) or is_nothing(self.source_conn_id):
            raise InvalidInput("source_conn_id", self.source_conn_id, gettext("the id of a connection"))
        matching = self._matching
        if matching.by == "map":
            one_to_one(matching.owner_map, "owner_map")
        if self._source_settings.portal == self.settings.portal:
            accepted = gettext("a connection to another portal than bitrix24_conn_id")
            raise InvalidInput("source_conn_id", self.source_conn_id, accepted)

    @property
    def _filter(self) -> Mapping[str, Any]:
        return cast("Mapping[str, Any]", {} if is_open(self.filter) else self.filter)

    @cached_property
    def _new(self) -> dict[int, int]:
        """What comes in the place of each, by the map that the migration is named for."""
        return chained(self._rows(self.migration), self.migration)

    @cached_property
    def _matching(self) -> Matching:
        by = cast("MatchName", self.match)
        matching = Matching(
            by,
            text("originator", self.originator),
            text("match_field", self.match_field),
        )
        if by != "map":
            return matching
        return replace(
            matching,
            owner_map=single(self._rows("owner_map"), "owner_map"),
            contact_map=single(self._rows("contact_map"), "contact_map"),
        )

    def pairing(self) -> Pairing:
        """Give what parked owners belong to, once the arguments are checked."""
        matching = self._matching
        return Pairing(
            self.owners_kind(),
            self._source_settings.portal,
            self.settings.portal,
            matching.by,
            matching.originator if matching.by == "origin" else "",
            matching.match_field if matching.by == "field" else "",
        )

    def _rows(self, argument: str) -> Iterator[MapRow]:
        """Give the rows of a map, which may be given as a file instead where it is not one of owners."""
        names = (argument,) if argument == "owner_map" else (argument, f"{argument}_file")
        return given_rows({name: getattr(self, name) for name in names}, self._title(argument))

    def _title(self, argument: str) -> str:
        """Give what the trigger forms of the sample DAGs call a map."""
        if linked := _REPLACED.get(self.migration_name()):
            return gettext(_FORM_TITLES[linked])
        kind = "contact" if argument == "contact_map" else self.owners_kind()
        return gettext("Map of {kinds_of}", **kind_words(kind))

    @property
    def source_portal(self) -> str:
        """Address of the portal that links come from; with one portal, of that one."""
        is_two = self.migration == "portal_to_portal"
        return (self._source_settings if is_two else self.settings).portal

    @cached_property
    def _source_settings(self) -> Settings:
        """What the connection of the portal that is read says."""
        try:
            return opened(str(self.source_conn_id)).settings
        except InvalidInput as error:
            if error.argument == "bitrix24_conn_id":
                raise InvalidInput("source_conn_id", error.value, error.accepted) from None
            raise  # it names the connection

    @cached_property
    def _source_hook(self) -> Bitrix24AsyncHook:
        """The hook of the portal that is read; it has an allowance of its own."""
        hook = opened_async(str(self.source_conn_id), self._source_settings)
        hook.patience, hook.stop = self.hook.patience, self.stop
        return hook

    def _wait_here(self) -> None:
        super()._wait_here()
        if not is_nothing(self.source_conn_id):
            self._source_hook.patience = self.hook.patience

    async def steps(
        self, portal: AsyncPortal, read: Read, parked: Collection[int] = ()
    ) -> AsyncGenerator[Step, None]:
        """Give the steps of the migration; from the first one on it is known who sees the portals.

        :param portal: The portal that is to change.
        :param read: Called with the number of owners that have just been read.
        :param parked: Owners of the source that are read whatever the filter says.
        """
        name, kind, wanted = self.migration_name(), self.owners_kind(), self._filter
        if name == "portal_to_portal":
            found = self._transferred(portal, read, parked)
        else:
            about: OwnerKind = "deal" if name == "release_moved_leads" else kind
            wanted = await checked_filter(portal, about, wanted)
            await self.look_who_sees(portal)
            if linked := _REPLACED.get(name):
                await check_new_ones(portal, linked, self._new.values())
                found = migrations.replace_linked(portal, kind, self._new, wanted, read)
            elif name == "lead_to_deal":
                found = migrations.lead_to_deal(portal, wanted, read)
            else:
                if not switch("believe_any_user", self.believe_any_user):
                    check_deals_are_seen(self.seen_partially)
                save = switch("save", self.save)
                found = migrations.release_moved_leads(portal, wanted, read, save=save)
        async with aclosing(found) as steps:
            async for step in steps:
                yield step

    async def _transferred(
        self, target: AsyncPortal, read: Read, parked: Collection[int]
    ) -> AsyncGenerator[Step, None]:
        kind = self.owners_kind()
        async with self._source_hook.portal(target.manners.meter) as source:
            wanted = await checked_filter(source, kind, self._filter)
            whose = gettext("the user of {conn_id}", conn_id=repr(self.source_conn_id))
            view = await self.look_who_sees(source, whose)
            if self.extra == "remove":
                check_source_is_seen(view)
            await self.look_who_sees(target)
            await check_match_field(target, self._matching, (kind, "contact"))
            transfer = Transfer(
                source,
                target,
                kind,
                matching=self._matching,
                extra=cast("Extra", self.extra),
                detail=cast("Detail", self.detail),
            )
            async with aclosing(transfer.steps(wanted, parked, read)) as steps:
                async for step in steps:
                    yield step

"""What a restore goes back to: the journals or snapshots that a person names, one for each kind of owners."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_bitrix.core.errors import InvalidInput, PlanRefused
from airflow_bitrix.core.families import SMART_PROCESS, row_of
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.core.links import LINK_ROWS, OwnerKind, accepted_kinds, is_entity_kind
from airflow_bitrix.files.plans import read_manifest
from airflow_bitrix.files.restores import JournalSource, SnapshotSource, Source
from airflow_bitrix.files.snapshots import read_snapshot
from airflow_bitrix.operators.shared.artifacts import as_folder, named_file
from airflow_bitrix.operators.shared.other_hosts import not_here, refuse_unseen
from airflow_bitrix.operators.shared.parameters import is_nothing
from airflow_bitrix.operators.shared.run_folders import places_in_run, refuse_several

Given = Mapping[str, Any] | str | None
"""What names a journal or a snapshot: what an operator returned, or a folder."""


def check_one(journal: Given, snapshot: Given) -> None:
    """Refuse both of them, and none.

    :raises InvalidInput: It is so.
    """
    if is_nothing(journal) == is_nothing(snapshot):
        given = {"journal": journal, "snapshot": snapshot}
        accepted = gettext(
            "one of the two, and only one; in the trigger form: Journal (the folder of the run "
            "to take back) or Snapshot (the folder of a snapshot)"
        )
        problem = gettext("none of the two is given") if is_nothing(journal) else gettext("both are given")
        raise InvalidInput("journal, snapshot", given, accepted, problem=problem)


def kind_asked(kind: object) -> str | None:
    """Give the kind of owners that is meant; ``None`` for the only one that there is.

    :raises InvalidInput: There is no such kind.
    """
    if is_nothing(kind):
        return None
    if kind == SMART_PROCESS or is_entity_kind(kind):
        return str(kind)
    accepted = gettext("{kinds}; or None for the only one", kinds=accepted_kinds(LINK_ROWS))
    raise InvalidInput("kind", kind, accepted)


def is_of(found: OwnerKind, asked: str) -> bool:
    """Whether a kind is the one that is asked for; ``dynamic`` is any smart process."""
    return asked in (found, row_of(found))


def kinds_of(journal: Given, snapshot: Given) -> set[OwnerKind]:
    """Give the kinds of owners that a run was about, or that snapshots hold.

    :raises InvalidInput: Not one of the two is given, or it names no folder.
    :raises PlanRefused: There is none, or it is damaged.
    """
    named = _Named.of(journal, snapshot)
    places = named.places()
    if len(places) > 1:
        return {named.kind_at(place) for place in places}
    return {named.read(places[0]).kind}


def read_source(
    journal: Given, snapshot: Given, *, plan: str | None = None, kind: str | None = None
) -> Source | None:
    """Read what a journal or a snapshot says of itself.

    :param plan: Folder of the plan that was applied, where it is not known otherwise.
    :param kind: The kind of owners that is asked for.
    :return: ``None`` where there is none of that kind among those of others.
    :raises InvalidInput: Not one of the two is given, it names no folder, or several that fit.
    :raises PlanRefused: There is none, or it is damaged.
    """
    named = _Named.of(journal, snapshot, plan)
    places = named.places()
    if kind and len(places) > 1:
        places = [place for place in places if is_of(named.kind_at(place), kind)]
        if not places:
            return None
    if len(places) > 1:
        refuse_several(named.what, named.text, places)
    source = named.read(places[0])
    return source if kind is None or is_of(source.kind, kind) else None


def is_about_several(journal: Given, snapshot: Given) -> bool:
    """Whether a run was about several kinds of owners."""
    return len(_Named.of(journal, snapshot).places()) > 1


@dataclass(frozen=True, slots=True)
class _Named:
    """What is named, a journal or a snapshot.

    :param text: Its folder, or that of its run.
    :param plan: Folder of the plan that was applied; ``None`` for the one beside the journal.
    :param host: The host that wrote it, where that is told.
    """

    what: str
    text: str
    plan: str | None
    host: object = None

    @classmethod
    def of(cls, journal: Given, snapshot: Given, plan: str | None = None) -> _Named:
        check_one(journal, snapshot)
        what, given = ("journal", journal) if is_nothing(snapshot) else ("snapshot", snapshot)
        told = given if isinstance(given, Mapping) else {what: given}
        applied = told.get("plan") if is_nothing(plan) else plan
        where = None if is_nothing(applied) else _text("plan", applied)
        return cls(what, _text(what, told.get(what), given), where, told.get("host"))

    def places(self) -> list[Path]:
        return places_in_run(self.what, self.text)

    def kind_at(self, place: Path) -> OwnerKind:
        return read_manifest(place / "plan").kind if self.what == "journal" else read_snapshot(place).kind

    def read(self, folder: Path) -> Source:
        try:
            if self.what == "snapshot":
                return SnapshotSource.of(folder)
            plan = None if self.plan is None else named_file("plan", self.plan)
            return JournalSource.of(folder, plan, place=as_folder)
        except PlanRefused as error:
            if not any(folder.glob("*")):
                refuse_unseen(self.what, folder, self.host)
                if hint := not_here(folder.parent if folder.name == "journal" else folder):
                    raise PlanRefused(f"{error}{hint}") from None
            raise


def _text(argument: str, place: object, given: object = None) -> str:
    if not isinstance(place, str) or not place:
        accepted = gettext(
            "a folder, or what the operator that made the {argument} returned", argument=argument
        )
        raise InvalidInput(argument, given or place, accepted)
    return place

"""Snapshots as rows, for tasks of one's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypedDict

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.core.links import OwnerKind
from airflow_bitrix.files.snapshots import read_snapshot
from airflow_bitrix.operators.shared.artifacts import given_folder

__all__ = ["LinkRow", "snapshot_rows"]


class LinkRow(TypedDict):
    """A contact link, or an owner that has none.

    :param kind: The kind of the owner.
    :param owner_id: Id of the owner.
    :param contact_id: Id of the contact; of the company, where the owner is a contact; ``None`` where it has
        none.
    :param sort: Its sort; ``None`` in a snapshot of ids, and where there is no contact.
    :param is_primary: Whether it is the primary contact.
    :param role_id: Its role; ``None`` as ``sort`` is.
    """

    kind: OwnerKind
    owner_id: int
    contact_id: int | None
    sort: int | None
    is_primary: bool
    role_id: int | None


def snapshot_rows(snapshot: Mapping[str, Any] | str) -> Iterator[LinkRow]:
    """Give the links of a snapshot, an owner's in order, one after the other: memory does not grow with them.

    ::

        @task
        def linked_contacts(snapshot: dict) -> int:
            return len({row["contact_id"] for row in snapshot_rows(snapshot)})


        linked_contacts(Bitrix24ExportContactLinksOperator(task_id="snapshot").output)

    :param snapshot: What the export task returned, or the folder of a snapshot.
    :raises InvalidInput: It is neither.
    :raises PlanRefused: There is no whole snapshot in the folder.
    """
    place = snapshot.get("snapshot") if isinstance(snapshot, Mapping) else snapshot
    if not isinstance(place, str) or not place:
        raise InvalidInput(
            "snapshot", snapshot, gettext("what the export task returned, or the folder of a snapshot")
        )
    return _rows(place)


def _rows(place: str) -> Iterator[LinkRow]:
    found = read_snapshot(given_folder("snapshot", place))
    for links in found.link_sets():
        for link in links.links or (None,):
            yield LinkRow(
                kind=found.kind,
                owner_id=links.owner.id,
                contact_id=link.contact_id if link else None,
                sort=link.sort if link else None,
                is_primary=link is not None and link.is_primary,
                role_id=link.role_id if link else None,
            )

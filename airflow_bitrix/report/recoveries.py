"""What a restore brings back, what it cannot and why, and what was lost on the way: one table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from airflow_bitrix.core.kind_words import linked_words
from airflow_bitrix.core.languages import gettext, gettext_noop
from airflow_bitrix.files.plans import Manifest


class Line(NamedTuple):
    """A row of the table: what it counts, and how many owners and links that are.

    :param owners: ``None`` where links alone are counted; likewise ``links``.
    """

    what: str
    owners: int | None
    links: int | None


_BACK: Mapping[str, str] = {
    "whole": gettext_noop("come back as they were"),
    "gone": gettext_noop("come back without the {kinds_of} that no longer exist"),
    "roles": gettext_noop("come back, and the roles of their {kinds_of} are lost: the portal takes none"),
    "sorts": gettext_noop("come back in their order, with sorts that are numbered anew"),
    "primary": gettext_noop("come back with one primary {kind}, as the portal always flags one"),
    "scalar": gettext_noop("come back, and their card shows another {kind} first"),
    "company": gettext_noop("come back without their company, which no longer exists"),
}
"""What is said of owners that come back, with words for what is linked; some lack several things."""

_LINKS: Mapping[str, str] = {"gone": "gone_links", "roles": "with_roles"}

_AWAY: Mapping[str, str] = {
    "as it was already": gettext_noop("are as they were already: nothing to do"),
    "brought back already, as far as can be": gettext_noop(
        "were brought back by an earlier restore, as far as the portal can hold it"
    ),
    "cannot be brought nearer": gettext_noop(
        "hold already all of it that the portal can hold: what is still missing cannot be written"
    ),
    "changed since": gettext_noop(
        "stay as they are: somebody changed them since (see Overwrite in the form)"
    ),
    "contacts no longer exist": gettext_noop("stay as they are: their contacts no longer exist"),
    "companies no longer exist": gettext_noop("stay as they are: their companies no longer exist"),
    "contacts not seen": gettext_noop(
        "stay as they are: their contacts may be gone, or not be seen by the webhook's user"
    ),
    "companies not seen": gettext_noop(
        "stay as they are: their companies may be gone, or not be seen by the webhook's user"
    ),
    "company not seen": gettext_noop(
        "stay as they are: their company may be gone, or not be seen by the webhook's user"
    ),
    "no longer there": gettext_noop("are gone themselves, or are not seen by the webhook's user"),
    "what was there cannot be read": gettext_noop("stay as they are: what they had cannot be read"),
}
"""What is said of those that are left out, by the group that they are counted under."""


def recovery_lines(manifest: Manifest) -> list[Line]:
    """Give the table of a restore; empty for any other plan, and where the plan does not tell."""
    counts: Mapping[str, int] = manifest.counts.get("restore", {})
    return [*_links(manifest, counts), *_owners(manifest, counts)] if counts else []


def in_several() -> str:
    """Say that lines of the table need not add up."""
    return gettext("What is counted in one line may be counted in another, too.")


def _links(manifest: Manifest, counts: Mapping[str, int]) -> Iterator[Line]:
    is_run = bool(manifest.origin and manifest.origin.what == "journal")
    taken = gettext("links that the run took away") if is_run else gettext("links that are missing now")
    yield Line(taken, None, counts.get("taken", 0))
    yield Line(gettext("links that are added back"), None, counts.get("back", 0))
    yield Line(gettext("links that do not come back"), None, counts.get("away", 0))


def _owners(manifest: Manifest, counts: Mapping[str, int]) -> Iterator[Line]:
    if owners := counts.get("companies", 0):
        yield Line(gettext("get their company back, and are saved for it"), owners, None)
    words = linked_words(manifest.kind)
    for name, what in _BACK.items():
        if owners := counts.get(name, 0):
            yield Line(gettext(what, **words), owners, counts.get(_LINKS.get(name, "")))
    left: Mapping[str, int] = manifest.counts.get("left_out", {})
    for why, owners in sorted(left.items(), key=lambda one: -one[1]):
        yield Line(gettext(_AWAY.get(why, why)), owners, None)

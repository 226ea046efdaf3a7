"""A plan as a person sees it who is to approve it: a page of Markdown, small whatever the plan."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from airflow_bitrix.core.families import family_of
from airflow_bitrix.core.kind_words import kind_words, linked_words, owners, owners_of
from airflow_bitrix.core.languages import gettext, gettext_noop, npgettext, number, pgettext
from airflow_bitrix.core.names import OwnerNames
from airflow_bitrix.core.plan import Change
from airflow_bitrix.core.timestamps import shown_timestamp
from airflow_bitrix.core.wording import lasting, listed
from airflow_bitrix.files.plans import Manifest, check_parts, read_changes
from airflow_bitrix.report.change_tables import WHY, change_table, legend
from airflow_bitrix.report.markdown_cells import cell
from airflow_bitrix.report.recoveries import Line, in_several, recovery_lines
from airflow_bitrix.report.texts import (
    limits_of,
    no_match,
    origin_line,
    partial_line,
    rule_titles,
    saving_line,
)

SHOWN = 10
"""Changes in each of the two tables."""

MOST_BYTES = 24_000
"""Size of the page at most: Airflow keeps it in its database."""

SOON = 60
"""Seconds that are not worth a figure."""

_LINES = 12


@dataclass(slots=True)
class Digest:
    """What the changes of a plan come to, gathered in one pass.

    :param added: Links that are added.
    :param removed: Links that are taken away.
    :param altered: Links that stay, with another sort or as (no longer) primary.
    :param emptied: Owners that are left without contacts and had some.
    :param saved: Owners that are saved afterwards.
    :param only_saved: Those of them whose links and company stay as they are.
    :param companies_off: Owners that lose their company.
    :param companies_back: Owners that get one.
    :param largest: The changes of most links, the largest first.
    :param samples: Changes spread over the plan, in its order.
    :param places: The place in the plan of each change that is shown, by id of the owner.
    """

    added: int = 0
    removed: int = 0
    altered: int = 0
    emptied: int = 0
    saved: int = 0
    only_saved: int = 0
    companies_off: int = 0
    companies_back: int = 0
    largest: list[Change] = field(default_factory=list)
    samples: list[Change] = field(default_factory=list)
    places: dict[int, int] = field(default_factory=dict)

    @property
    def shown(self) -> Mapping[int, Change]:
        """The changes that are shown, by id of the owner."""
        return {change.owner.id: change for change in (*self.largest, *self.samples)}


def digest(manifest: Manifest, changes: Iterable[Change]) -> Digest:
    """Gather what a plan comes to, in one pass and little memory.

    The same plan gives the same samples; which they are, nobody can tell before the plan is made.

    :param changes: The changes of the plan, in its order.
    """
    found = Digest()
    sampled = set(_sample_places(manifest.hash, manifest.changes))
    # The owner's id decides between changes of one size, so that changes themselves are never compared.
    top: list[tuple[int, int, int, Change]] = []
    for place, change in enumerate(changes):
        before, after = set(change.before.contact_ids), set(change.after.contact_ids)
        found.added += len(after - before)
        found.removed += len(before - after)
        found.altered += change.size - len(before ^ after)
        found.emptied += change.empties
        found.saved += change.save
        found.only_saved += change.save and not change.size and change.company is None
        found.companies_off += change.company == 0
        found.companies_back += bool(change.company)
        entry = (change.size, -change.owner.id, place, change)
        if len(top) < SHOWN:
            heapq.heappush(top, entry)
        else:
            heapq.heappushpop(top, entry)
        if place in sampled:
            found.samples.append(change)
            found.places[change.owner.id] = place
    top.sort(reverse=True)
    found.largest = [change for *_, change in top]
    found.places |= {change.owner.id: place for *_, place, change in top}
    return found


def _sample_places(plan_hash: str, number: int) -> Iterator[int]:
    """Give one place of each tenth of a plan."""
    for tenth in range(SHOWN):
        first, end = tenth * number // SHOWN, (tenth + 1) * number // SHOWN
        if end > first:
            seed = hashlib.sha256(f"{plan_hash}/{tenth}".encode()).digest()
            yield first + int.from_bytes(seed[:8]) % (end - first)


def plan_digest(folder: Path, manifest: Manifest) -> Digest:
    """Gather what a plan comes to, from its files.

    :raises PlanRefused: A part of the plan is missing or was edited.
    """
    check_parts(folder, manifest)
    changes = (
        change for part in range(len(manifest.parts)) for change in read_changes(folder, manifest, part)
    )
    return digest(manifest, changes)


def plan_markdown(folder: Path, manifest: Manifest) -> str:
    """Give the page of a plan, from its files, with ids alone.

    :raises PlanRefused: A part of the plan is missing or was edited.
    """
    return as_markdown(manifest, plan_digest(folder, manifest))


@dataclass(frozen=True, slots=True)
class ShownPlan:
    """A plan as a person sees it.

    :param found: What its changes come to.
    :param names: What owners and contacts are called, by id of the owner.
    """

    manifest: Manifest
    found: Digest
    names: Mapping[int, OwnerNames] = field(default_factory=dict)


def as_markdown(
    manifest: Manifest,
    found: Digest,
    limits: Sequence[tuple[str, str]] = (),
    names: Mapping[int, OwnerNames] | None = None,
) -> str:
    """Give the page of a plan; see :func:`pages`."""
    return pages([ShownPlan(manifest, found, names or {})], limits)


def pages(plans: Sequence[ShownPlan], limits: Sequence[tuple[str, str]] = ()) -> str:
    """Give the page of plans, each of several below a heading of its kind.

    Texts of the portal are escaped; the page stays below :data:`MOST_BYTES`.

    :param limits: Limits beside the guards of each, by what the trigger forms call them.
    """
    for shown in range(SHOWN, -1, -1):
        each = ["\n".join(_lines(plan, shown, limits)) for plan in plans]
        if len(page := _under_headings(plans, each)) <= MOST_BYTES:
            return page.decode()
    room = MOST_BYTES // len(plans)
    cut = [one.encode()[: room - _HEADING].decode(errors="ignore") for one in each]
    return _under_headings(plans, cut).decode()


_HEADING = 150
"""Bytes that the heading of a plan has at most."""


def _under_headings(plans: Sequence[ShownPlan], each: Sequence[str]) -> bytes:
    if len(plans) == 1:
        return each[0].encode()
    heads = (kind_words(plan.manifest.kind)["kinds"] for plan in plans)
    told = (f"## {head[:1].upper()}{head[1:]}\n\n{one}" for head, one in zip(heads, each, strict=True))
    return "\n\n".join(told).encode()


def headline(*manifests: Manifest) -> str:
    """Give the question that the page is about: ``Change the contacts of 695 leads on acme.example?``.

    :param manifests: The plans that it is about, all for one portal.
    """
    of = listed([owners_of(one.kind, one.changes) for one in manifests])
    words = {"portal": _name_of(manifests[0].portal), **linked_words(manifests[0].kind)}
    if all(one.origin for one in manifests):
        return gettext("Bring the {kinds} of {owners} on {portal} back?", owners=of, **words)
    return gettext("Change the {kinds} of {owners} on {portal}?", owners=of, **words)


def _name_of(portal: str) -> str:
    return portal.partition("://")[2] or portal


def _lines(plan: ShownPlan, shown: int, limits: Sequence[tuple[str, str]]) -> Iterator[str]:
    manifest, found, names = plan.manifest, plan.found, plan.names
    for why in manifest.partial:
        yield from (f"**{cell(partial_line(why), 500)}**", "")
    yield _first_line(manifest)
    if none := no_match(manifest):
        yield from ("", gettext("**The plan is empty:** {none}.", none=none))
    if manifest.origin:
        yield from ("", f"{cell(origin_line(manifest.origin), 400)}.")
    if broken := manifest.broken_guards:
        refused = gettext("**A real run would be refused:**")
        yield from ("", refused, *(f"- {cell(guard, 300)}" for guard in broken))
    if manifest.changes:
        yield from ("", *(f"- {line}" for line in _effects(manifest, found)))
    told = (f"{name}: **{cell(limit, 100)}**" for name, limit in [*limits_of(manifest), *limits])
    yield from ("", gettext("Limits as they stand: {limits}.", limits="; ".join(told)))
    if recovered := recovery_lines(manifest):
        yield from _recovery(manifest, recovered)
    else:
        titles = dict(rule_titles(manifest))
        by_rule = [(titles.get(name, name), count) for name, count in manifest.counts["by_rule"].items()]
        left_out = [(gettext(why), count) for why, count in manifest.counts["left_out"].items()]
        yield from _counts(gettext("rule"), manifest, by_rule)
        yield from _counts(gettext("left out, not touched"), manifest, left_out)
    if manifest.changes > SHOWN:
        yield from change_table(gettext("The largest changes"), manifest, found.largest[:shown], names)
        samples = gettext("Samples from all over the plan")
        yield from change_table(samples, manifest, found.samples[:shown], names)
    elif manifest.changes:
        yield from change_table(gettext("All changes"), manifest, found.samples[:shown], names)
    if manifest.changes:
        yield from ("", legend())
    yield from ("", gettext("Plan {hash}.", hash=f"`{manifest.hash[:12]}`"))


def _first_line(manifest: Manifest) -> str:
    """Say how many owners it is about."""
    what = gettext_noop("**{owners} to change**, of {read} read on {portal} at {moment}.")
    if manifest.origin:
        what = gettext_noop("**{owners} to bring back**, of {read} read on {portal} at {moment}.")
    return gettext(
        what,
        owners=owners(manifest.kind, manifest.changes),
        read=int(manifest.counts.get("read", 0)),
        portal=f"[{cell(_name_of(manifest.portal), 100)}]({manifest.portal})",
        moment=cell(shown_timestamp(manifest.created), 40),
    )


def _effects(manifest: Manifest, found: Digest) -> Iterator[str]:
    links = [
        (found.removed, gettext_noop("**{count}** taken away")),
        (found.added, gettext_noop("**{count}** added")),
        (found.altered, gettext_noop("**{count}** re-ordered or altered")),
    ]
    told = [gettext(what, count=count) for count, what in links if count]
    if told:
        yield gettext("links: {changes}", changes=", ".join(told))
    if found.emptied:
        emptied = owners(manifest.kind, found.emptied)
        yield gettext("**{owners}** left without {kinds_of}", owners=emptied, **linked_words(manifest.kind))
    if found.companies_off:
        yield gettext("company taken off **{owners}**", owners=owners(manifest.kind, found.companies_off))
    if found.companies_back:
        yield gettext(
            "company given back to **{owners}**", owners=owners(manifest.kind, found.companies_back)
        )
    if found.only_saved:
        yield gettext(
            "**{owners}** saved, **{count}** of them without another change, which starts the portal's "
            "automation",
            owners=owners(manifest.kind, found.saved),
            count=found.only_saved,
        )
    elif found.saved:
        saved = owners(manifest.kind, found.saved)
        yield gettext("**{owners}** saved, which starts the portal's automation", owners=saved)
    if family_of(manifest.kind).is_saved:
        yield saving_line(manifest.kind)
    if requests := manifest.counts.get("requests"):
        yield _cost(manifest, int(requests))


def _cost(manifest: Manifest, requests: int) -> str:
    """Say how many requests a plan takes, and how long that lasts at the portal's pace."""
    told = npgettext("genitive", "{count} request", "{count} requests", requests)
    if manifest.pace is None:
        return gettext("about {requests} to the portal", requests=told)
    rate, burst = manifest.pace
    seconds = max(requests - burst, 0) / rate
    if seconds < SOON:
        return gettext("about {requests} to the portal, which takes less than a minute", requests=told)
    return gettext(
        "about {requests} to the portal, which takes **about {time}** at its pace, where nobody else asks",
        requests=told,
        time=lasting(seconds),
    )


def _recovery(manifest: Manifest, lines: Sequence[Line]) -> Iterator[str]:
    """Give the table of a restore."""
    what, links = gettext("what comes back, and what does not"), pgettext("head", "links")
    yield from ("", f"| {what} | {kind_words(manifest.kind)['kinds']} | {links} |", "|:---|---:|---:|")
    for line in lines:
        told = ("" if count is None else number(count) for count in (line.owners, line.links))
        yield f"| {cell(line.what, WHY)} | {' | '.join(told)} |"
    yield from ("", in_several())


def _counts(heading: str, manifest: Manifest, rows: Sequence[tuple[str, int]]) -> Iterator[str]:
    if not rows:
        return
    yield from ("", f"| {heading} | {kind_words(manifest.kind)['kinds']} |", "|:---|---:|")
    most = sorted(rows, key=lambda row: -row[1])
    yield from (f"| {cell(name, WHY)} | {number(count)} |" for name, count in most[:_LINES])
    if rest := most[_LINES:]:
        more = gettext("and {count} more", count=len(rest))
        yield f"| {more} | {number(sum(count for _, count in rest))} |"

"""Judging a restore: every owner ends at its image, or is named with the reason why it does not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from airflow_bitrix.core.links import ContactLink, LinkSet, Owner
from airflow_bitrix.core.owner_states import OwnerState
from airflow_bitrix.core.plan import Change
from airflow_bitrix.core.restores import (
    BroughtBack,
    Image,
    judge_restore,
    linked_anew,
    needs_exact,
    recovery,
    with_known_scalar,
)
from airflow_bitrix.core.rules import LeftOut

DEAL = Owner("deal", 5)

link_sets = st.builds(
    lambda rows, scalar: LinkSet(
        DEAL,
        tuple(
            sorted((ContactLink(row[0], row[1], row[2], 0) for row in rows), key=lambda link: link.sort or 0)
        ),
    ).with_scalar(scalar),
    st.lists(
        st.tuples(st.integers(1, 5), st.sampled_from([0, 10, 20, 30, 45]), st.booleans()),
        unique_by=lambda row: row[0],
        max_size=4,
    ),
    st.sampled_from([None, 1, 2, 3]),
)


@given(link_sets, link_sets, st.sets(st.integers(1, 5)))
def test_an_owner_ends_at_its_image_or_is_named(links: LinkSet, found: LinkSet, missing: set[int]) -> None:
    image, now = Image(links), OwnerState(found)
    verdict = judge_restore(image, now, missing=missing, overwrite=False, save=False)
    lost = linked_anew(image, now) & missing
    if isinstance(verdict, LeftOut):
        assert verdict.reason
        assert verdict.why in {
            "as it was already",
            "contacts no longer exist",
            "cannot be brought nearer",
        }
        assert (verdict.why == "as it was already") == links.agrees_with(found)
        return
    after = verdict.after
    assert verdict.before == found
    assert not found.agrees_with(after)
    assert set(after.contact_ids) == set(links.contact_ids) - lost
    assert list(after.contact_ids) == [one for one in links.contact_ids if one not in lost]
    assert sum(link.is_primary for link in after.links) == bool(after.links)
    if not lost and links.shown_id in links.contact_ids:
        assert after.shown_id == links.shown_id
    assert verdict.may_empty == (not links.links)


@given(link_sets)
def test_links_that_a_portal_can_hold_come_back_exactly(links: LinkSet) -> None:
    can_hold = (
        sum(link.is_primary for link in links.links) == 1
        and links.scalar_id is None
        and all(link.sort for link in links.links)
    )
    now = OwnerState(LinkSet(DEAL))
    verdict = judge_restore(Image(links), now, missing=(), overwrite=False, save=True)
    if can_hold:
        assert isinstance(verdict, Change)
        assert set(verdict.after.links) == set(links.links)
        assert verdict.reasons[0].count(";") == 0  # nothing to be said against it
        assert verdict.save
    elif isinstance(verdict, Change):
        assert set(verdict.after.links) != set(links.links) or links.scalar_id is not None
        assert "; " in verdict.reasons[0]


def links_of(*rows: tuple[int, int, bool]) -> LinkSet:
    return LinkSet(DEAL, tuple(ContactLink(one, sort, flag, 0) for one, sort, flag in rows))


def test_what_the_apply_left_is_taken_back_and_what_somebody_made_of_it_is_not() -> None:
    was, left, other = links_of((1, 10, True)), links_of((2, 10, True)), links_of((3, 10, True))
    image = Image(was, left=left)
    for found, why in ((was, "as it was already"), (other, "changed since")):
        verdict = judge_restore(image, OwnerState(found), missing=(), overwrite=False, save=False)
        assert isinstance(verdict, LeftOut)
        assert verdict.why == why
    for found, overwrite in ((left, False), (other, True)):
        verdict = judge_restore(image, OwnerState(found), missing=(), overwrite=overwrite, save=False)
        assert isinstance(verdict, Change)
        assert verdict.after == was


def test_only_the_sorts_may_have_been_changed_since() -> None:
    """The same contacts in the same order: a scan would not have seen it."""
    image = Image(links_of((9, 10, True)), left=links_of((1, 10, True), (2, 20, False)))
    verdict = judge_restore(
        image,
        OwnerState(links_of((1, 10, True), (2, 90, False))),
        missing=(),
        overwrite=False,
        save=False,
    )
    assert isinstance(verdict, LeftOut)
    assert verdict.why == "changed since"


def test_sorts_are_asked_for_where_they_are_needed() -> None:
    exact, scanned = links_of((1, 10, True)), links_of((1, 10, True)).as_scanned()
    assert needs_exact(Image(exact), OwnerState(scanned))
    assert not needs_exact(Image(scanned), OwnerState(scanned))
    assert not needs_exact(Image(exact), OwnerState(LinkSet(DEAL)))
    assert needs_exact(Image(scanned), OwnerState(links_of((2, 10, True)).as_scanned()))


def test_the_scalar_contact_is_taken_from_the_plan_where_the_links_are_the_same() -> None:
    image = links_of((1, 10, False), (2, 20, False))
    planned = LinkSet.of_ids(DEAL, [1, 2], 2)
    assert with_known_scalar(image, planned).shown_id == 2
    assert with_known_scalar(image, LinkSet.of_ids(DEAL, [1, 3], 3)).shown_id is None


@given(link_sets, link_sets, st.sets(st.integers(1, 5)))
def test_what_a_restore_made_of_an_owner_is_no_strangers_change(
    links: LinkSet, left: LinkSet, missing: set[int]
) -> None:
    """However often it is restored: the end is named with whose it is, and why it is not what was there."""
    image, now = Image(links, left=left), left
    for number in range(3):
        verdict = judge_restore(image, OwnerState(now), missing=missing, overwrite=False, save=False)
        if isinstance(verdict, LeftOut):
            break
        assert number < 2
        now = verdict.after
        image = Image(links, left=left, brought=(*image.brought, BroughtBack(now, f"restore {number}")))
    assert isinstance(verdict, LeftOut)
    assert verdict.why in {
        "as it was already",
        "brought back already, as far as can be",
        "cannot be brought nearer",
        "contacts no longer exist",
    }
    if image.brought and not links.agrees_with(now) and verdict.why != "contacts no longer exist":
        assert verdict.reason.startswith("by restore ")


def test_what_somebody_made_of_a_restored_owner_is_told_beside_what_the_runs_left() -> None:
    was, left, other = links_of((1, 10, True)), links_of((2, 10, True)), links_of((3, 10, True))
    image = Image(was, left=left, brought=(BroughtBack(was, "the restore of today"),))
    verdict = judge_restore(image, OwnerState(other), missing=(), overwrite=False, save=False)
    assert verdict == LeftOut(
        "changed since",
        "by somebody else: contacts are now 3*, the apply was to leave 2*, the restore of today 1*",
    )


def test_who_brought_an_owner_back_by_hand_is_no_stranger_either() -> None:
    """Nothing is left to be done: what the portal holds is the nearest to what was there."""
    image = Image(links_of((1, 10, False), (2, 20, False)), left=links_of())
    now = OwnerState(links_of((1, 10, True), (2, 20, False)))
    verdict = judge_restore(image, now, missing=(), overwrite=False, save=False)
    assert isinstance(verdict, LeftOut)
    assert verdict.why == "cannot be brought nearer"
    assert "primary was none, and the portal always flags the one that it shows: 1" in verdict.reason


@given(link_sets, link_sets, link_sets, st.sets(st.integers(1, 5)))
def test_each_link_that_was_taken_comes_back_or_stays_away(
    links: LinkSet, left: LinkSet, found: LinkSet, missing: set[int]
) -> None:
    image, now = Image(links, left), OwnerState(found)
    verdict = judge_restore(image, now, missing=missing, overwrite=True, save=False)
    counts = recovery(image, now, verdict)
    was, here = set(links.contact_ids), set(found.contact_ids)
    assert counts["taken"] == len(was - set(left.contact_ids))
    assert counts["back"] + counts["away"] == len(was - here)
    lacks = [name for name in ("gone", "sorts", "primary", "scalar", "roles") if counts[name]]
    if isinstance(verdict, LeftOut):
        assert (counts["whole"], lacks) == (0, [])
    else:
        assert counts["whole"] + bool(lacks) == 1
        assert ("; " in verdict.reasons[0]) == bool(lacks)


def test_roles_that_are_lost_are_counted_with_their_links() -> None:
    links = LinkSet(DEAL, (ContactLink(1, 10, is_primary=True, role_id=3), ContactLink(2, 20, role_id=0)))
    now = OwnerState(LinkSet(DEAL))
    verdict = judge_restore(Image(links), now, missing=(), overwrite=False, save=False)
    assert recovery(Image(links), now, verdict) == {"taken": 2, "back": 2, "roles": 1, "with_roles": 1}


def test_companies_of_a_contact_that_are_gone_are_called_companies() -> None:
    contact = Owner("contact", 5)
    image, now = Image(LinkSet.of_ids(contact, [4], 4)), OwnerState(LinkSet(contact))
    verdict = judge_restore(image, now, missing={4}, overwrite=False, save=False)
    assert verdict == LeftOut(
        "companies no longer exist", "company 4 no longer exists, and there was no other"
    )

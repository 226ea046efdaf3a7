"""Any link set into any other: what is applied is exactly what is wanted, and so is the way back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from airflow_bitrix.core.link_writes import attainable, write_commands
from airflow_bitrix.core.links import ContactLink, LinkSet, Owner
from airflow_bitrix.core.plan import Change
from airflow_bitrix.crm.scan import scan
from airflow_bitrix.engine.apply import apply_changes
from airflow_bitrix.sandbox.links import Link
from airflow_bitrix.sandbox.server import Sandbox
from tests.engine.notes import Notes

PAIRS = 50
EXAMPLES = min(settings().max_examples // 2, 400)  # of 50 pairs: 2,500, and 20,000 in make draws

Rows = list[tuple[int, int, bool]]
"""Contact, sort and primary flag."""


SORTS = st.sampled_from([0, 5, 10, 20, 30])


@st.composite
def any_rows(draw: st.DrawFn) -> Rows:
    """Any rows that a portal's table can hold: ties, sorts of 0, no primary or several."""
    contacts = draw(st.lists(st.integers(1, 6), unique=True, max_size=4))
    usual = draw(st.booleans())
    primary = draw(st.sampled_from(contacts)) if contacts else 0
    return [
        (
            contact,
            10 * place if usual else draw(SORTS),
            contact == primary if usual else draw(st.booleans()),
        )
        for place, contact in enumerate(contacts, start=1)
    ]


NOTHING_TO_DO: tuple[tuple[Rows, int | None], Rows] = (([], None), [])
# A step further, the sort of contact 2 would be the one that it has.
SEVERAL_PRIMARIES: tuple[tuple[Rows, int | None], Rows] = (
    ([(6, 10, True), (1, 20, True), (2, 20, True), (4, 30, True)], 4),
    [(2, 10, False), (1, 20, False), (5, 30, False), (4, 40, True)],
)


ANY_ROWS = any_rows()
"""Made once: Hypothesis looks at each strategy that is made."""


def odd_scalar(rows: Rows) -> st.SearchStrategy[int | None]:
    return st.sampled_from([None, *(contact for contact, _, _ in rows)])


@st.composite
def any_owner(draw: st.DrawFn) -> tuple[Rows, int | None]:
    """Any rows, and a scalar contact that mostly is what they say."""
    rows = draw(ANY_ROWS)
    said = min((contact for contact, _, primary in rows if primary), default=None)
    return rows, said if draw(st.integers(0, 4)) else draw(odd_scalar(rows))


def place(sandbox: Sandbox, lead: int, rows: Rows, scalar: int | None) -> None:
    links = tuple(sorted(Link(sort, contact, primary) for contact, sort, primary in rows))
    sandbox.state.place_links("lead", lead, links)
    sandbox.state.tables["lead"].rows[lead]["CONTACT_ID"] = scalar


def is_kept_exactly(links: LinkSet) -> bool:
    """Whether a portal can be brought back to it by one command."""
    return attainable(links, links) == links and links.scalar_id is None


async def snapshot(portal: Any) -> dict[int, LinkSet]:
    found = [state async for state in scan(portal, "lead", detail="full")]
    return {state.owner.id: state.links for state in found}


async def carry_out(portal: Any, changes: list[Change]) -> None:
    for change in changes:
        assert len(write_commands(change)) == 1  # never more than replacing takes
    notes = Notes()
    await apply_changes(portal, "lead", changes, notes)
    assert {one.owner.id: notes.outcomes[one.owner.id].outcome for one in changes} == {
        one.owner.id: "applied" for one in changes
    }
    assert not any(outcome.reason for outcome in notes.outcomes.values())


def changes_to(now: dict[int, LinkSet], wanted: dict[int, LinkSet]) -> list[Change]:
    made = [Change(now[lead], attainable(now[lead], wanted[lead]), ("wanted",)) for lead in now]
    return [change for change in made if not change.before.agrees_with(change.after)]


@pytest.fixture(scope="module")
def leads() -> Any:
    with Sandbox(contacts=6, plan="self_hosted") as sandbox:
        for _ in range(PAIRS):
            sandbox.state.add("lead", {})
        yield sandbox


@pytest.mark.slow
@pytest.mark.drawn
# Fifty pairs an example take minutes to shrink, and a failure names its lead anyway.
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(data=st.lists(st.tuples(any_owner(), ANY_ROWS), min_size=PAIRS, max_size=PAIRS))
@example(data=[SEVERAL_PRIMARIES, *[NOTHING_TO_DO] * (PAIRS - 1)])
def test_the_portal_ends_as_wanted_and_comes_back_as_it_was(
    leads: Any, connect_async: Any, data: list[tuple[tuple[Rows, int | None], Rows]]
) -> None:
    owners = {number: Owner("lead", number) for number in range(1, PAIRS + 1)}
    wanted = {}
    for lead, ((rows, scalar), wish) in enumerate(data, start=1):
        place(leads, lead, rows, scalar)
        wanted[lead] = LinkSet(
            owners[lead],
            tuple(ContactLink(contact, sort or None, primary) for contact, sort, primary in wish),
        )

    async def run() -> None:
        async with connect_async(leads.webhook_url) as portal:
            first = await snapshot(portal)
            there = changes_to(first, wanted)
            await carry_out(portal, there)
            end = await snapshot(portal)
            for change in there:
                assert end[change.owner.id].agrees_with(change.after)
                assert end[change.owner.id].scalar_id is None
            for lead, links in end.items():
                target = attainable(first[lead], wanted[lead])
                # links of equal sort come back in any order
                assert links.contact_ids == target.contact_ids or not target.is_in_one_order

            await carry_out(portal, changes_to(end, first))
            back = await snapshot(portal)
            for lead, links in back.items():
                assert links.agrees_with(attainable(end[lead], first[lead]))
                if is_kept_exactly(first[lead]):
                    assert links.agrees_with(first[lead])

    asyncio.run(run())

"""Whatever a portal answers, who reads it gets a value or one clear error that names the method."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_bitrix.client.allowance import Unlimited
from airflow_bitrix.client.batch import batch_flow
from airflow_bitrix.client.flow import Clock, Manners
from airflow_bitrix.client.listing import Listing
from airflow_bitrix.client.outcomes import CommandOutcome
from airflow_bitrix.client.pacing import Retries
from airflow_bitrix.client.portal import AsyncPortal
from airflow_bitrix.client.wire import Answer, Call, Reply, Request
from airflow_bitrix.core import methods
from airflow_bitrix.core.contacts import LIST_SELECT
from airflow_bitrix.core.errors import Bitrix24Error
from airflow_bitrix.core.links import LinkSet, Owner
from airflow_bitrix.core.matching import Matching
from airflow_bitrix.crm.contacts import absent_contacts, read_contacts
from airflow_bitrix.crm.filter_checks import checked_filter
from airflow_bitrix.crm.owner_reads import OwnerReads, links_told
from airflow_bitrix.crm.owners import look_up
from airflow_bitrix.crm.questions import Question, RowCount, ask
from airflow_bitrix.crm.saved_records import saved_since
from airflow_bitrix.crm.scan import scan
from airflow_bitrix.crm.timeline import bears, look_call
from airflow_bitrix.crm.users import view_of
from airflow_bitrix.engine.matching import check_match_field, records_with
from airflow_bitrix.engine.rule_facts import count_links
from tests.answers import SCALARS, VALUES, pages, rows

pytestmark = [pytest.mark.drawn, pytest.mark.slow]

LEAD = {
    "id": 1, "contactId": 3, "contactIds": [3, 4], "companyId": 0, "stageId": "NEW",
    "stageSemanticId": "P", "isReturnCustomer": "N",
}  # fmt: skip
LINK = {"CONTACT_ID": 3, "SORT": 10, "ROLE_ID": 0, "IS_PRIMARY": "Y"}
CONTACT = {**dict.fromkeys(LIST_SELECT), "ID": "3"}
STAGE = {"ENTITY_ID": "DEAL_STAGE", "NAME": "New", "STATUS_ID": "NEW"}
FIELDS = {"fields": {"title": {"type": "string"}, "stageId": {"type": "crm_status", "statusType": "STATUS"}}}
PIPELINES = {"categories": [{"id": 0, "name": "Sales"}]}

BEGIN = datetime(2026, 11, 21, tzinfo=UTC)
SAVED = {"id": 1, "updatedTime": "2026-11-21T10:00:00+03:00"}
QUESTIONS: Sequence[Question] = [Owner("lead", 1), Owner("deal", 2), RowCount.of("lead", {"stageId": "NEW"})]

Work = Callable[[AsyncPortal], Awaitable[Any]]


@dataclass
class Drawn:
    """A portal whose answers are drawn, each of them used again and again.

    :param results: Results of calls and commands.
    :param totals: What stands beside them for the number of rows.
    :param errors: What stands in the place of some results in batches.
    :param maps: What stands in the place of whole maps of a batch.
    :param nexts: What stands beside results of calls for the next page.
    """

    results: Iterator[Any]
    totals: Iterator[Any]
    errors: Iterator[Any]
    maps: Mapping[str, Any]
    nexts: Iterator[Any]

    async def send(self, request: Request) -> Reply:
        if request.method != "batch":
            told = {"result": next(self.results), "total": next(self.totals), "next": next(self.nexts)}
            return Reply(200, json.dumps(told).encode())
        maps: dict[str, Any] = {"result": {}, "result_error": {}, "result_total": {}}
        for key in json.loads(request.body)["cmd"]:
            error = next(self.errors)
            maps["result" if error is None else "result_error"][key] = error or next(self.results)
            maps["result_total"][key] = next(self.totals)
        return Reply(200, json.dumps({"result": {**maps, **self.maps}}).encode())


def drawn(result: st.SearchStrategy[Any]) -> st.SearchStrategy[Drawn]:
    """Portals of such results; most of what stands beside them is right."""

    def again(one: st.SearchStrategy[Any]) -> st.SearchStrategy[Iterator[Any]]:
        return st.lists(one, min_size=1, max_size=3).map(itertools.cycle)

    error = st.none() | st.fixed_dictionaries({"error": VALUES}, optional={"error_description": VALUES})
    maps = st.dictionaries(st.sampled_from(["result", "result_error", "result_total"]), VALUES, max_size=1)
    return st.builds(
        Drawn,
        again(result),
        again(st.integers(0, 3) | SCALARS),
        again(error | VALUES) | st.just(itertools.repeat(None)),
        st.just({}) | maps,
        st.just(itertools.repeat(None)) | again(SCALARS),
    )


def come_of(work: Work, portal: Drawn) -> Any:
    """What a reader makes of such a portal: its value, or the error's words."""

    async def sleep(_: float) -> None:
        """Wait for nothing."""

    async def run() -> Any:
        manners = Manners(Unlimited(), Retries(times=1), clock=Clock(lambda: 0.0, sleep_async=sleep))
        return await work(AsyncPortal(portal.send, manners))

    try:
        return asyncio.run(run())
    except Bitrix24Error as error:
        said = str(error)
    assert re.split("[ :]", said)[0] in KNOWN, said
    return said


KNOWN = {
    "batch", "profile", "crm.item.list", "crm.item.fields", "crm.contact.list", "crm.contact.get",
    "crm.status.list", "crm.category.list", "crm.lead.contact.items.get", "stages", "filter", "match_field",
    "the",
}  # fmt: skip


async def _scanned(portal: AsyncPortal) -> list[Any]:
    return [state async for state in scan(portal, "lead", detail="full")]


async def _contacts(portal: AsyncPortal) -> list[Any]:
    return [contact async for contact in read_contacts(portal, [3, 4])]


READERS: Mapping[str, tuple[Work, st.SearchStrategy[Any]]] = {
    "the user": (view_of, rows({"ID": "1", "ADMIN": True, "NAME": "A"})),
    "stages": (
        lambda portal: checked_filter(portal, "deal", {"stageId": "NEW"}, stages=["NEW"]),
        pages(STAGE) | st.just(FIELDS) | st.just(PIPELINES),
    ),
    "fields": (lambda portal: checked_filter(portal, "lead", {"title": "x"}), rows(FIELDS)),
    "match field": (
        lambda portal: check_match_field(portal, Matching("field", match_field="x"), ["lead"]),
        rows({"fields": {"x": {}}}),
    ),
    "records": (
        lambda portal: records_with(portal, "contact", Matching("field", match_field="x"), [("", "7")]),
        pages({"id": 1, "x": "7"}, "items"),
    ),
    "counts": (lambda portal: count_links(portal, [3]), pages({"id": 1}, "items")),
    "owners": (lambda portal: look_up(portal, "lead", [1, 2], full=True), pages(LEAD, "items") | pages(LINK)),
    "a scan": (_scanned, pages(LEAD, "items") | pages(LINK)),
    "contacts": (_contacts, pages(CONTACT)),
    "absent contacts": (lambda portal: absent_contacts(portal, [3]), pages({"id": 3}, "items")),
    "saved leads": (lambda portal: saved_since(portal, "lead", BEGIN), pages(SAVED, "items")),
    "what is waited for": (lambda portal: ask(portal, QUESTIONS), pages(LEAD, "items")),
}


PORTALS = {name: drawn(result) for name, (_, result) in READERS.items()}


@pytest.mark.parametrize("name", READERS)
@given(data=st.data())
def test_a_reader_gives_a_value_or_one_clear_error(name: str, data: st.DataObject) -> None:
    work, _ = READERS[name]
    come_of(work, data.draw(PORTALS[name]))


@given(drawn(pages(LEAD, "items") | pages(LINK)))
def test_a_look_tells_of_each_owner_what_it_is_or_why_not(told: Drawn) -> None:
    async def look(portal: AsyncPortal) -> Any:
        return await OwnerReads(portal, "lead").look([1, 2], exactly=[1])

    seen = come_of(look, told)
    if not isinstance(seen, str):
        assert not seen.states.keys() & seen.unseen.keys()
        assert {*seen.states, *seen.unseen, *seen.exact} <= {1, 2}
        assert all(state.owner.id == one for one, state in seen.states.items())


@given(pages(LINK))
def test_items_get_tells_links_or_none(told: Any) -> None:
    call = Call("crm.lead.contact.items.get", {"id": 5})
    owner = Owner("lead", 5)
    links = links_told(owner, CommandOutcome(call, Answer(told)))
    if links is None:
        with pytest.raises(Bitrix24Error, match=r"^crm\.lead\.contact\.items\.get \(lead 5\): "):
            methods.links_of(owner, told)
    else:
        assert methods.links_of(owner, told) == links
        assert LinkSet.from_json(owner, links.as_json()) == links


@given(pages({"ID": "5", "COMMENT": "by plan 3f2a"}))
def test_a_look_at_a_timeline_finds_a_comment_or_none_or_tells_nothing(told: Any) -> None:
    assert bears(CommandOutcome(look_call(Owner("lead", 5)), Answer(told)), "3f2a") in (True, False, None)


@given(drawn(VALUES))
def test_each_command_of_a_batch_has_one_outcome_whatever_is_answered(told: Drawn) -> None:
    calls = [Call("crm.lead.contact.items.get", {"id": one}) for one in (1, 2, 3)]

    async def run(portal: AsyncPortal) -> Any:
        return await portal.run(batch_flow(calls, portal.manners))

    outcomes = come_of(run, told)
    if not isinstance(outcomes, str):
        assert [outcome.call for outcome in outcomes] == calls
        assert all((outcome.answer is None) != (outcome.fault is None) for outcome in outcomes)
        assert all(outcome.ok or str(outcome.error).startswith("crm.lead.") for outcome in outcomes)


@given(rows({"TITLE": {}, "ID": {}}))
def test_the_fields_of_a_list_are_names_or_one_clear_error(told: Any) -> None:
    listing = Listing("crm.lead.list", {"filter": {"TITLE": "x"}})
    try:
        listing.check_filter(told)
    except Bitrix24Error as error:
        assert str(error).startswith(("filter: 'TITLE' is not accepted", "crm.lead.fields: "))  # noqa: PT017

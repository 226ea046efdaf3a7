"""How many links a plan's change may come to: as many as one command of a batch holds, and no fewer."""

from __future__ import annotations

import pytest

from airflow_bitrix.client.commands import command_of
from airflow_bitrix.client.wire import Call
from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.link_writes import MOST_LINKS, unwritable, write_commands
from airflow_bitrix.core.links import ContactLink, LinkSet, Owner
from airflow_bitrix.core.plan import Change


def change(links: int) -> Change:
    """Give a change that only ``items.set`` can bring about, with every value that it may hold."""
    owner = Owner("deal", 5)
    after = tuple(ContactLink(number, 10 * number, number == links, 0) for number in range(1, links + 1))
    return Change(LinkSet(owner, after[:1]), LinkSet(owner, after), ("why",), ("rule",))


def test_what_a_plan_takes_can_be_sent_and_one_link_more_cannot() -> None:
    (method, params), *none = write_commands(change(MOST_LINKS))
    assert none == []
    assert command_of(Call(method, params)).count("=") == 3 * MOST_LINKS + 1
    assert unwritable(change(MOST_LINKS)) == ("", "")
    (method, params), *_ = write_commands(change(MOST_LINKS + 1))
    with pytest.raises(InvalidInput, match="at most 900 values"):
        command_of(Call(method, params))
    assert unwritable(change(MOST_LINKS + 1))[1].startswith("300 contacts are to be linked")

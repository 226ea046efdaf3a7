"""Whatever is sent, the portal answers."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_bitrix.sandbox import php
from airflow_bitrix.sandbox.clock import Clock
from airflow_bitrix.sandbox.other_methods import METHODS
from airflow_bitrix.sandbox.portal import Caller, Portal
from airflow_bitrix.sandbox.schema import BY_ITEM_NAME, BY_NAME, ENTITY_TYPES
from airflow_bitrix.sandbox.seed import seeded

PREFIXES = ["", "=", "!", ">", "<=", "@", "!@", "%", "=%", "!%=", "><", "!><"]
LINKS = ["contactIds", "CONTACT_IDS", "COMPANY_IDS"]
FIELDS = [*BY_NAME["lead"], *BY_ITEM_NAME["deal"], *LINKS, "logic", "0", "1"]
PARAMETERS = ["fields", "items", "filter", "order", "select", "start", "type", "values", "name"]

_keys = st.builds(str.__add__, st.sampled_from(PREFIXES), st.sampled_from(FIELDS))
_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-3, 25)
    | st.floats()
    | st.text(max_size=3)
    | st.sampled_from(["Y", "DESC", "OR", "1e999", "9" * 30, "$result[a][0]", "2026-01-01", "%a_"])
)
_values = st.recursive(
    _scalars,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(_keys, below, max_size=3),
    max_leaves=8,
)
_params = st.dictionaries(st.sampled_from(PARAMETERS), _values, max_size=5)


def _portal() -> Portal:
    kinds = ("leads", "deals", "contacts", "quotes", "companies", "invoices", "items")
    counts: Any = dict.fromkeys(kinds, 8)
    state = seeded(**counts, seed=1, clock=Clock())
    return Portal(state, code="code", plan="self_hosted")


PORTAL = _portal()


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(
    method=st.sampled_from(sorted(METHODS)),
    entity=st.sampled_from([0, *ENTITY_TYPES]),
    number=st.integers(0, 9),
    params=_params,
)
def test_every_method_answers_every_parameter(
    method: str, entity: int, number: int, params: dict[str, Any]
) -> None:
    reply = PORTAL.answer(Caller("1", "code"), method, {"id": number, "entityTypeId": entity, **params})
    assert reply.status in {200, 400, 403, 404}
    assert php.loads(php.dumps(reply.body)) is not None


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(cmd=_values, halt=_scalars, method=st.sampled_from(sorted(METHODS)))
def test_every_batch_is_answered(cmd: Any, halt: Any, method: str) -> None:
    commands = {
        "a": f"{method}?id=1&entityTypeId=1",
        "b": f"{method}?id=$result[a]&filter=$result[a]",
        "c": cmd,
    }
    for sent in (cmd, commands):
        reply = PORTAL.answer(Caller("1", "code"), "batch", {"cmd": sent, "halt": halt})
        assert reply.status == 200
        assert php.loads(php.dumps(reply.body)) is not None

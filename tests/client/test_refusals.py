"""A portal that takes no request at all: named as what it is, whatever status it comes with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from airflow_bitrix.client.wire import Call
from airflow_bitrix.core.errors import AuthFailed, Rejected
from airflow_bitrix.sandbox.server import Sandbox

WORDS = {
    "revoked": "the portal does not accept the webhook: INVALID_CREDENTIALS: Invalid request credentials",
    "overload": (
        "the portal's operator has blocked the webhook or application: OVERLOAD_LIMIT: "
        "REST API is blocked due to overload."
    ),
    "no_subscription": (
        "the portal has no subscription for REST: ACCESS_DENIED: REST is available only by subscription."
    ),
    "portal_deleted": "the portal is closed: PORTAL_DELETED: Portal was deleted",
    "no_user": (
        "the portal does not let the user of the webhook or application in: authorization_error: "
        "Unable to authorize user"
    ),
}


@pytest.fixture(scope="module")
def _served() -> Iterator[Sandbox]:
    with Sandbox(leads=5, contacts=5, plan="self_hosted") as served:
        yield served


@pytest.fixture
def sandbox(_served: Sandbox) -> Sandbox:
    """As after its start."""
    _served.reset()
    return _served


@pytest.mark.parametrize("auth_status", ["docs", "source"])
@pytest.mark.parametrize("why", WORDS)
def test_a_portal_that_takes_nobody_is_no_refusal_of_one_call(
    sandbox: Sandbox, connect: Any, why: str, auth_status: str
) -> None:
    sandbox.set_switches(refusal=why, auth_status=auth_status)
    portal = connect(sandbox.webhook_url)
    with pytest.raises(AuthFailed) as refused:
        portal.call("profile")
    assert str(refused.value) == f"profile: {WORDS[why]}"
    with pytest.raises(AuthFailed) as refused:
        portal.batch([Call("profile")])
    assert str(refused.value) == f"batch: {WORDS[why]}"
    assert sandbox.stats()["methods"] == {"profile": 1, "batch": 1}


def test_what_a_role_may_not_do_is_a_refusal_of_that_call(sandbox: Sandbox, connect: Any) -> None:
    sandbox.set_switches(user_updates="none")
    portal = connect(sandbox.webhook_url)
    call = Call("crm.lead.contact.items.delete", {"id": 2})
    with pytest.raises(Rejected, match=r"\(lead 2\): the portal refused: ACCESS_DENIED: Access denied!"):
        portal.call(call.method, call.params)
    assert type(portal.batch([call])[0].error) is Rejected

"""Messages in Bitrix24: who gets them, what they say, and that no trouble with them fails a run."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.log import mask_secret

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.notifications.bitrix24 import Bitrix24Notifier
from airflow_bitrix.report.messages import Told
from airflow_bitrix.sandbox.server import Sandbox

AIRFLOW = "https://airflow.example.com"
RUN = "manual__2026-11-29T08:30:00+00:00"
REPORT = f"{AIRFLOW}/dags/cleans/runs/manual__2026-11-29T08%3A30%3A00%2B00%3A00/plugin/bitrix24_report"


@pytest.fixture(scope="module")
def served() -> Iterator[Sandbox]:
    with Sandbox(plan="self_hosted", code="abcdef123456") as served:
        yield served


@pytest.fixture
def sandbox(served: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    sandbox = served
    sandbox.reset()
    sandbox.set_switches(scope=["crm", "im"], chats=[7])
    found = {"conn_type": "bitrix24", "password": sandbox.webhook_url, "extra": {"plan": "self_hosted"}}
    monkeypatch.setenv("AIRFLOW_CONN_BITRIX24_DEFAULT", json.dumps(found))
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", f"{AIRFLOW}/")
    return sandbox


def context(told: Told | None = None, **more: Any) -> Any:
    """What a callback of a task is given."""
    task = SimpleNamespace(task_id="check", task_display_name="Check and report", told=told)
    dag = DAG("cleans", schedule=None, render_template_as_native_obj=True)
    return {"dag": dag, "run_id": RUN, "task": task, "ti": SimpleNamespace(map_index=-1), **more}


def messages(sandbox: Any) -> list[tuple[str, str]]:
    return [(one.to, one.text) for one in sandbox.state.messages]


def call(notifier: Bitrix24Notifier, given: Any) -> None:
    notifier(given)


def wait_for(notifier: Bitrix24Notifier, given: Any) -> None:
    async def triggerer() -> None:
        notifier.context = given
        await notifier

    asyncio.run(triggerer())


@pytest.mark.parametrize("way", [call, wait_for])
def test_users_and_a_chat_are_told_in_one_request(
    sandbox: Any, way: Callable[[Bitrix24Notifier, Any], None]
) -> None:
    told = Told("finished", "Lead link clean-up: finished", "Outcomes of 3 leads: 3 applied")
    way(Bitrix24Notifier(users="{{ params.who }}", chat="chat7"), context(told, params={"who": [5, 6]}))
    said = (
        "Lead link clean-up: finished\nOutcomes of 3 leads: 3 applied\n"
        f"Run {RUN} of the DAG cleans\nReport: {REPORT}"
    )
    assert messages(sandbox) == [("user 5", said), ("user 6", said), ("chat7", said)]
    assert sandbox.stats()["admitted"] == 1


@pytest.mark.parametrize("users", [5, "5", "5, 6", [5, "6"], "[5, 6]"])
def test_users_may_be_named_in_any_of_these_ways(sandbox: Any, users: Any) -> None:
    Bitrix24Notifier(users=users, message="{{ dag.dag_id }} is [B]done[/B]")(context())
    assert messages(sandbox)[0] == ("user 5", "cleans is [B]done[/B]")
    assert len(messages(sandbox)) == 1 + ("6" in str(users))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            context(exception=ValueError("no portal [USER=1]boss[/USER]\n::group::")),
            ["The task “Check and report” has failed", "no portal (USER=1)boss(/USER)\\n\\x3a:group::"],
        ),
        (context(), ["The task “Check and report” has ended"]),
        (
            {"dag": DAG("cleans", schedule=None), "run_id": RUN, "reason": "task_failure"},
            ["The run has failed", "task_failure"],
        ),
        (
            {
                "dag_run": {"dag_id": "cleans", "dag_run_id": RUN},
                "deadline": {"id": "1", "deadline_time": datetime(2026, 11, 29, 9, tzinfo=UTC).isoformat()},
            },
            ["The run is late: its deadline was 2026-11-29 09:00 UTC"],
        ),
    ],
)
def test_it_says_what_it_can_in_any_callback(sandbox: Any, given: Any, said: list[str]) -> None:
    Bitrix24Notifier(users=5)(given)
    [(_, text)] = messages(sandbox)
    assert text.splitlines() == [*said, f"Run {RUN} of the DAG cleans", f"Report: {REPORT}"]


@pytest.mark.attack
@pytest.mark.parametrize("message", ["", "It failed: {{ exception }}"])
def test_what_airflow_masks_in_logs_is_masked_in_messages(sandbox: Any, message: str) -> None:
    mask_secret("of-the-warehouse-7")
    said = "login failed for postgres, password of-the-warehouse-7"
    Bitrix24Notifier(users=5, message=message)(context(exception=ValueError(said)))
    [(_, text)] = messages(sandbox)
    assert "login failed for postgres, password ***" in text
    assert "of-the-warehouse-7" not in text


def test_it_gives_no_links_where_airflow_s_address_is_not_known(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "/")
    Bitrix24Notifier(users=5)(context())
    assert "Report" not in messages(sandbox)[0][1].splitlines()[-1]


@pytest.mark.parametrize("way", [call, wait_for])
@pytest.mark.parametrize(
    ("arguments", "trouble", "said"),
    [
        (
            {"users": [5, 6]},
            {"scope": ["crm"]},
            "the webhook or application lacks the scope im, which messages need: grant it in its settings",
        ),
        ({"users": "Olga"}, {}, "users: 'Olga' is not accepted; accepted: "),
        (
            {"chat": "chat"},
            {},
            "chat: 'chat' is not accepted; accepted: the number of a chat, such as 7 or chat7",
        ),
        ({"chat": 8}, {}, "im.message.add: the portal refused: ACCESS_ERROR: You do not have access"),
        ({"users": 5, "bitrix24_conn_id": "nowhere"}, {}, "nowhere"),
        ({"users": 5}, {"refusal": "revoked"}, "the portal does not accept the webhook"),
        ({"users": 5, "message": "$result[c0]"}, {}, "text without references to other commands"),
    ],
)
def test_what_goes_wrong_is_a_sentence_in_the_log_and_no_more(  # noqa: PLR0917 (fixtures)
    sandbox: Any,
    capfd: pytest.CaptureFixture[str],
    way: Callable[[Bitrix24Notifier, Any], None],
    arguments: dict[str, Any],
    trouble: dict[str, Any],
    said: str,
) -> None:
    sandbox.set_switches(**trouble)
    way(Bitrix24Notifier(**arguments), context())
    assert not messages(sandbox)
    lines = [line for line in capfd.readouterr().out.splitlines() if "Not told in Bitrix24" in line]
    assert len(lines) == 1
    assert said in lines[0]
    assert "abcdef123456" not in lines[0]


def test_nobody_to_tell_is_refused_when_the_dag_is_parsed_and_passes_when_a_form_says_so(
    sandbox: Any,
) -> None:
    with pytest.raises(
        InvalidInput, match=r"^users: \(\) is not accepted; accepted: ids of users to tell, or a chat"
    ):
        Bitrix24Notifier()
    with pytest.raises(InvalidInput, match=r"^users: None is not accepted"):
        Bitrix24Notifier(users=None)  # type: ignore[arg-type]
    nobody: tuple[Any, ...] = ([], "", None)
    for empty in nobody:
        Bitrix24Notifier(users="{{ params.who }}")(context(params={"who": empty}))
    assert sandbox.stats()["admitted"] == 0

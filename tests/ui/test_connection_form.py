"""The connection form: its fields, its secret, and its Test button."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from airflow_bitrix.get_provider_info import get_provider_info
from scripts.processes import free_port
from tests.ui.screens import Form, told

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Locator, Page

    from tests.ui.conftest import Stage

FIELDS = get_provider_info()["connection-types"][0]["conn-fields"]


def new_connection(page: Page, stage: Stage) -> Form:
    """Open the form and choose Bitrix24."""
    page.goto(f"{stage.airflow.url}/connections")
    page.get_by_role("button", name="Add Connection").click()
    form = Form(page)
    form.field("Connection Type").get_by_role("combobox").click()
    page.keyboard.type("bitrix")
    page.get_by_role("option", name="Bitrix24", exact=True).click()
    return form


def press_test(page: Page, stage: Stage, conn_id: str) -> None:
    page.goto(f"{stage.airflow.url}/connections")
    row_of(page, conn_id).get_by_role("button", name="Test Connection").click()


def row_of(page: Page, conn_id: str) -> Locator:
    return page.get_by_role("row").filter(has=page.get_by_text(conn_id, exact=True))


def test_the_form_asks_for_what_a_webhook_has(
    page: Page, stage: Stage, shoot: Callable[[Page, str], None]
) -> None:
    """Our labels and placeholders; no schema, and no login and password as such."""
    form = new_connection(page, stage)
    placeholders = {
        "Portal address": "acme.bitrix24.com",
        "Webhook user id": "1",
        "Webhook code": "the code; or the whole webhook address, with Port alone beside it",
        "Port": "443; without it Airflow's Test button may answer Bad Request",
    }
    for label, placeholder in placeholders.items():
        expect(form.input(label)).to_have_attribute("placeholder", placeholder)
    expect(form.input("Webhook code")).to_have_attribute("type", "password")
    for hidden in ("Host", "Login", "Password", "Schema", "Extra"):
        expect(form.field(hidden)).to_have_count(0)
    shoot(page, "connection-form")


def test_the_form_explains_the_further_fields(
    page: Page, stage: Stage, shoot: Callable[[Page, str], None]
) -> None:
    """Each with its help text; the plan is one of three."""
    form = new_connection(page, stage)
    form.open("Extra Fields")
    for name, conn_field in FIELDS.items():
        shown = form.field(conn_field["label"])
        expect(shown, name).to_be_visible()
        expect(shown, name).to_contain_text(conn_field["description"])
    assert list(form.choices("Bitrix24 plan")) == ["standard", "enterprise", "self_hosted"]
    shoot(page, "connection-form-further-fields")


def test_a_new_connection_is_saved_tested_and_keeps_its_secret(
    page: Page, stage: Stage, shoot: Callable[[Page, str], None]
) -> None:
    """The Test button tells portal and user; nothing on the pages holds the code again."""
    given = stage.sandbox.connection()
    form = new_connection(page, stage)
    form.input("Connection ID").fill("bitrix24_typed")
    form.input("Portal address").fill(str(given["host"]))
    form.input("Port").fill(str(given["port"]))
    form.input("Webhook user id").fill(str(given["login"]))
    form.input("Webhook code").fill(stage.sandbox.code)
    form.button("Save").click()
    expect(row_of(page, "bitrix24_typed")).to_be_visible()
    press_test(page, stage, "bitrix24_typed")
    notice = told(page, "Test Connection Successful")
    expect(notice).to_contain_text(f"Connected to {stage.sandbox.url} as ")
    expect(notice).to_contain_text(re.compile(r"as \w+ \w+ \(administrator\)"))
    shoot(page, "connection-tested")
    row_of(page, "bitrix24_typed").get_by_role("button", name="Edit Connection").click()
    code = form.input("Webhook code")
    expect(code).to_have_value("***")
    form.field("Webhook code").get_by_role("button", name="Show value").click()
    expect(code).to_have_attribute("type", "text")
    expect(code).to_have_value("***")
    shoot(page, "connection-edited")
    assert stage.sandbox.code not in page.content()


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"password": "notTheCode1"}, "The portal does not accept the webhook: INVALID_CREDENTIALS"),
        ({"port": "free"}, "The portal cannot be reached: nothing answers at this address and port"),
        ({"host": "acme corp"}, "Portal address (host): 'acme corp' is not accepted; accepted: a portal add"),
        ({"host": "http://nowhere.invalid"}, "Portal address (host): 'http://nowhere.invalid' is not acc"),
        ({"login": "anna"}, "Webhook user id (login): '***' is not accepted; accepted: the number of the"),
    ],
    ids=["code", "port", "host", "plain-http", "user"],
)
def test_the_test_button_says_in_a_sentence_what_is_wrong(
    page: Page, stage: Stage, shoot: Callable[[Page, str], None], wrong: dict[str, Any], sentence: str
) -> None:
    """By the names that the fields have in the form."""
    port = {"port": free_port()} if wrong.get("port") == "free" else {}
    stage.airflow.create_connection("bitrix24_wrong", **{**stage.sandbox.connection(), **wrong, **port})
    press_test(page, stage, "bitrix24_wrong")
    notice = told(page, "Test Connection Failed")
    expect(notice).to_contain_text(sentence)
    shoot(page, f"connection-wrong-{next(iter(wrong))}")
    said = notice.inner_text()
    assert "Traceback" not in said
    assert len(said.splitlines()) == 2


@pytest.mark.parametrize(
    ("password", "state", "said"),
    [("", "success", "Connected to {url} as "), ("notTheCode1", "failed", "does not accept the webhook")],
)
def test_a_worker_tests_a_connection_as_well(stage: Stage, password: str, state: str, said: str) -> None:
    """Airflow 3.3 can do it through its API; its UI has no button for that yet."""
    given = {**stage.sandbox.connection(), "connection_id": "bitrix24_worker"}
    body = {**given, "password": password or stage.sandbox.code}
    path = "/api/v2/connections/enqueue-test"
    token = stage.airflow.call("POST", path, json=body)["token"]
    deadline = time.monotonic() + 60
    while True:
        answer = stage.airflow.call("GET", path, headers={"Airflow-Connection-Test-Token": token})
        if answer["state"] in ("success", "failed") or time.monotonic() > deadline:
            break
        time.sleep(0.3)
    assert answer["state"] == state, answer
    assert said.format(url=stage.sandbox.url) in answer["result_message"]
    assert stage.sandbox.code not in answer["result_message"]

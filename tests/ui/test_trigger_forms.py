"""The pages of the sample DAGs: what they explain, and what their trigger forms ask."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from scripts.local_sandbox import ROOT
from tests.ui.screens import FIRST_SECTION, Form, tab_to, trigger_form

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from playwright.sync_api import Page

    from tests.ui.conftest import Stage, Watch

DAG_IDS = sorted(file.stem for file in (ROOT / "dags").glob("*.py"))
CLEAN_UP = "bitrix24_lead_link_cleanup"


def choices_of(schema: Mapping[str, Any]) -> list[str]:
    """Tell the values that a parameter may have, if there are only some."""
    found: list[str] = schema.get("enum") or schema.get("items", {}).get("enum") or []
    return found


def readable(schema: Mapping[str, Any]) -> list[str]:
    """Tell what the form calls these values; a value without a name of its own fails."""
    return [schema["values_display"][value] for value in choices_of(schema)]


def told(task: Mapping[str, Any]) -> str:
    """What docs call a task; of one for each kind, which is called after that, they tell once."""
    if task["task_id"].startswith("plans."):
        return "Make the plans"
    return re.sub("^Look at the .*", "Look at the leads", task["task_display_name"])


@pytest.mark.parametrize("dag_id", DAG_IDS)
def test_the_page_of_a_dag_tells_a_newcomer_what_it_does(
    page: Page, stage: Stage, shoot: Callable[[Page, str], None], dag_id: str
) -> None:
    """Its docs name the tasks as the grid does; tags and the owner's link stand above."""
    details = stage.details(dag_id)
    page.goto(stage.dag(dag_id))
    expect(page.get_by_role("heading", name=details["dag_display_name"])).to_be_visible()
    for tag in sorted(tag["name"] for tag in details["tags"])[:3]:  # further ones stand behind a button
        expect(page.locator(f"a[href='/dags?tags={tag}']")).to_be_visible()
    ((owner, address),) = details["owner_links"].items()
    expect(page.get_by_role("link", name=f"Owner link for {owner}")).to_have_attribute("href", address)
    page.get_by_role("button", name="Dag Docs").click()
    docs = page.get_by_role("dialog")
    title = re.search(r"^### (.+)$", details["doc_md"], re.MULTILINE)
    assert title
    expect(docs.get_by_role("heading", name=title[1])).to_be_visible()
    tasks = stage.airflow.call("GET", f"/api/v2/dags/{dag_id}/tasks")["tasks"]
    for name in {told(task) for task in tasks}:
        expect(docs.get_by_role("cell").filter(has_text=name).first, name).to_be_visible()
    shoot(page, f"docs-{dag_id}")


@pytest.mark.parametrize("dag_id", DAG_IDS)
def test_a_trigger_form_explains_every_parameter(
    page: Page, stage: Stage, shoot: Callable[[Page, str], None], dag_id: str
) -> None:
    """Each has a title and a help text in its section, and its choices have readable names."""
    form = trigger_form(page, stage.dag(dag_id))
    shoot(page, f"form-{dag_id}")
    opened = ""
    params = stage.details(dag_id)["params"]
    sections = {name: param["schema"].get("section", FIRST_SECTION) for name, param in params.items()}
    for name, section in sorted(sections.items(), key=lambda pair: list(sections.values()).index(pair[1])):
        if section != opened:
            form.open(section)
            opened = section
        schema = params[name]["schema"]
        shown = form.field(schema["title"])
        expect(shown, name).to_be_visible()
        expect(shown, name).to_contain_text(params[name]["description"])
        chosen = params[name]["value"]
        for value in chosen if isinstance(chosen, list) else [chosen]:
            if choices_of(schema):
                expect(shown, name).to_contain_text(schema["values_display"][value])


def test_rules_are_chosen_by_readable_names(
    page: Page, stage: Stage, shoot: Callable[[Page, str], None]
) -> None:
    """Several of them; what is chosen is no longer offered."""
    form = trigger_form(page, stage.dag(CLEAN_UP))
    rules = readable(stage.details(CLEAN_UP)["params"]["rules"]["schema"])
    assert list(form.choices("Rules")) == rules[1:]
    shoot(page, "form-rules")
    page.get_by_role("option", name="Fix primary").click()
    expect(form.field("Rules")).to_contain_text("Release repeat leads")
    expect(form.field("Rules")).to_contain_text("Fix primary")


def test_one_of_several_is_chosen_by_a_readable_name(page: Page, stage: Stage) -> None:
    form = trigger_form(page, stage.dag(CLEAN_UP))
    form.open("How rules work")
    params, title = stage.details(CLEAN_UP)["params"], "Merge same person: keep"
    assert "approval" not in params  # that is for the DAG's author to say
    assert list(form.choices(title)) == readable(params["survivor"]["schema"])
    page.get_by_role("option", name="The oldest contact").click()
    expect(form.field(title)).to_contain_text("The oldest contact")


def test_the_form_does_not_let_a_wrong_number_or_no_rule_pass(page: Page, stage: Stage, watch: Watch) -> None:
    """A number below the least stays as it was typed, and is refused; without a rule there is no run."""
    watch.expect("400 .*/dagRuns$")
    form = trigger_form(page, stage.dag(CLEAN_UP))
    form.open("Limits")
    most = form.input("Most changes allowed")
    most.fill("-5")
    most.blur()
    expect(most).to_have_value("-5")
    form.button("Trigger").click()
    expect(form.dialog.get_by_text("Invalid input for param max_changes: -5 is less than")).to_be_visible()
    most.fill("")
    most.blur()
    expect(form.field("Most changes allowed")).to_contain_text("This field is required")
    expect(form.button("Trigger")).to_be_disabled()
    most.fill("50")
    most.blur()
    expect(form.button("Trigger")).to_be_enabled()
    form.open(FIRST_SECTION)
    form.field("Rules").get_by_label("Clear selected options").click()
    expect(form.button("Trigger")).to_be_disabled()


def test_the_server_refuses_a_wrong_value_and_names_it(
    page: Page, stage: Stage, shoot: Callable[[Page, str], None], watch: Watch
) -> None:
    """What the form lets pass, the answer to it tells: which parameter, which value, no run."""
    watch.expect("400 .*/dagRuns$")  # the browser itself logs every refusal
    runs = f"/api/v2/dags/{CLEAN_UP}/dagRuns"
    before = stage.airflow.call("GET", runs)["total_entries"]
    form = trigger_form(page, stage.dag(CLEAN_UP))
    form.open("How it is applied")
    form.input("Try the first ones").fill("2.5")
    form.input("Try the first ones").blur()
    form.button("Trigger").click()
    refusal = form.dialog.get_by_text("Invalid input for param canary: 2.5 is not of type")
    expect(refusal).to_be_visible()
    refusal.scroll_into_view_if_needed()
    shoot(page, "form-refused")
    assert stage.airflow.call("GET", runs)["total_entries"] == before


def test_a_form_is_filled_in_without_a_mouse(page: Page, stage: Stage) -> None:
    """The tabulator reaches the button, every field of the open section, every section, and the way out."""
    page.goto(stage.dag(CLEAN_UP))
    tab_to(page, page.get_by_role("button", name="Trigger Dag"))
    page.keyboard.press("Enter")
    form = Form(page)
    tab_to(page, form.button(FIRST_SECTION))
    dry_run = form.field("Dry run").get_by_role("checkbox")
    tab_to(page, dry_run)
    page.keyboard.press("Space")
    expect(dry_run).not_to_be_checked()
    tab_to(page, form.field("Rules").get_by_role("combobox"))
    for section in ("How rules work", "Which leads", "Limits", "Approval", "How it is applied", "Portal"):
        tab_to(page, form.button(section))
    page.keyboard.press("Enter")
    tab_to(page, form.input("Connection"))
    tab_to(page, form.button("Trigger"))
    page.keyboard.press("Escape")
    expect(form.dialog).to_have_count(0)

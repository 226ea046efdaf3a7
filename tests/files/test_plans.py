"""Plan files: written in parts, read back as they were, and refused when anything about them was changed."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airflow_bitrix.core.errors import PlanRefused
from airflow_bitrix.core.guards import Guards
from airflow_bitrix.core.link_writes import MOST_LINKS
from airflow_bitrix.core.links import ContactLink, LinkSet, Owner
from airflow_bitrix.core.plan import Change
from airflow_bitrix.files import FORMAT
from airflow_bitrix.files.plans import (
    MANIFEST,
    PART_CHANGES,
    Manifest,
    PlanWriter,
    check_parts,
    read_changes,
    read_manifest,
)

ABOUT: dict[str, Any] = {
    "kind": "lead",
    "portal": "https://acme.bitrix24.com",
    "created": "2026-11-21T10:00:00+00:00",
    "rules": ("release_repeat_leads",),
    "guards": Guards(max_changes=5000),
}
REASONS = ("release: два контакта", 'with "quotes", commas\nand lines')


def change(number: int) -> Change:
    owner = Owner("lead", number)
    before = LinkSet(owner, (ContactLink(number, 10, is_primary=True, role_id=0), ContactLink(number + 1)))
    rules = ("release_repeat_leads",)
    return Change(before, LinkSet(owner), REASONS, rules, save=True, ends_repeat=True, may_empty=True)


def write(folder: Path, changes: Iterable[Change], **about: Any) -> Manifest:
    with PlanWriter(folder) as plan:
        count = 0
        for one in changes:
            plan.add(one)
            count += 1
        return plan.finish(read=count, **{**ABOUT, **about})


def read_all(folder: Path) -> list[Change]:
    manifest = read_manifest(folder)
    check_parts(folder, manifest)
    return [one for part in range(len(manifest.parts)) for one in read_changes(folder, manifest, part)]


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    """A plan of three changes."""
    folder = tmp_path / "run" / "plan"
    write(folder, [change(number) for number in (3, 1, 2)])
    return folder


@pytest.mark.parametrize(
    ("count", "parts"),
    [(0, []), (1, [1]), (PART_CHANGES, [1000]), (PART_CHANGES + 1, [1000, 1]), (2500, [1000, 1000, 500])],
)
def test_a_plan_of_any_size_comes_back_as_it_was_in_parts_of_a_thousand(
    count: int, parts: list[int], tmp_path: Path
) -> None:
    changes = [change(number) for number in range(1, count + 1)]
    written = write(tmp_path, changes)
    manifest = read_manifest(tmp_path)
    assert manifest == written
    assert manifest.hash == written.hash
    assert manifest.changes == count
    assert [part["changes"] for part in manifest.parts] == parts
    assert sorted(path.name for path in tmp_path.glob("part-*")) == [part["name"] for part in manifest.parts]
    assert read_all(tmp_path) == changes


def test_a_manifest_tells_what_the_plan_is_about(plan: Path) -> None:
    manifest = read_manifest(plan)
    assert (manifest.kind, manifest.portal, manifest.created) == tuple(ABOUT.values())[:3]
    assert manifest.rules == ABOUT["rules"]
    assert manifest.guards == ABOUT["guards"]
    counts = {"read": 3, "hidden_links": 0, "changes": 3, "emptied": 0, "left_out": {}}
    assert manifest.counts == {**counts, "by_rule": {"release_repeat_leads": 3}, "requests": 3}


def test_owners_left_without_contacts_that_no_rule_allows_are_counted(tmp_path: Path) -> None:
    changes = [change(1), replace(change(2), may_empty=False), replace(change(3), before=change(3).after)]
    assert write(tmp_path, changes).counts["emptied"] == 1


def test_the_same_plan_has_the_same_hash_and_any_other_has_another(tmp_path: Path) -> None:
    first = write(tmp_path / "a", [change(1), change(2)])
    assert write(tmp_path / "b", [change(1), change(2)]).hash == first.hash
    others = [
        write(tmp_path / "c", [change(2), change(1)]),
        write(tmp_path / "d", [change(1)]),
        write(tmp_path / "e", [change(1), change(2)], portal="https://other.bitrix24.com"),
        write(tmp_path / "f", [change(1), change(2)], guards=Guards(max_changes=None)),
        write(tmp_path / "g", [change(1), change(2)], rules=()),
    ]
    assert len({first.hash, *(other.hash for other in others)}) == 6


def test_two_changes_for_one_owner_make_no_plan(tmp_path: Path) -> None:
    with PlanWriter(tmp_path) as plan:
        plan.add(change(1))
        with pytest.raises(PlanRefused, match="lead 1"):
            plan.add(change(1))


def test_a_plan_replaces_the_one_that_lay_there(tmp_path: Path) -> None:
    write(tmp_path, [change(number) for number in range(1, 1500)])
    write(tmp_path, [change(7)])
    assert read_all(tmp_path) == [change(7)]
    assert [path.name for path in tmp_path.glob("part-*")] == ["part-00000.jsonl"]


@pytest.mark.parametrize("changes", [0, 1, 1500])
def test_a_run_that_dies_while_it_writes_leaves_no_plan(changes: int, tmp_path: Path) -> None:
    write(tmp_path, [change(5)])
    with PlanWriter(tmp_path) as plan:
        for number in range(1, changes + 1):
            plan.add(change(number))
    with pytest.raises(PlanRefused, match="there is no plan in"):
        read_manifest(tmp_path)


def test_owners_that_are_left_out_are_listed_with_their_reasons_and_counted(tmp_path: Path) -> None:
    reason = 'company "Müller, Söhne"\nkeeps it'
    page = "https://acme.bitrix24.com/crm/lead/details"
    with PlanWriter(tmp_path, left_out_on="https://acme.bitrix24.com") as plan:
        plan.leave_out(Owner("lead", 5), "held by a company", reason)
        plan.leave_out(Owner("lead", 6), "converted", "already converted")
        plan.leave_out(Owner("lead", 7), "converted", "already converted")
        manifest = plan.finish(read=3, **ABOUT)
    assert manifest.counts["left_out"] == {"converted": 2, "held by a company": 1}
    with (tmp_path / "left_out.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [
            ["owner", "owner_id", "why", "reason", "address"],
            ["lead", "5", "held by a company", reason.replace("\n", r"\n"), f"{page}/5/"],
            ["lead", "6", "converted", "already converted", f"{page}/6/"],
            ["lead", "7", "converted", "already converted", f"{page}/7/"],
        ]


def test_an_owner_that_no_apply_could_write_is_left_out_and_the_plan_says_why(tmp_path: Path) -> None:
    """It would be approved, and then fail each time: a batched ``items.set`` does not hold as many links."""
    with PlanWriter(tmp_path, portal="https://acme.bitrix24.com") as plan:
        for number, contacts in ((1, MOST_LINKS), (2, MOST_LINKS + 1), (3, 500)):
            owner = Owner("lead", number)
            before = LinkSet.of_ids(owner, range(1, contacts + 1), 1)
            plan.add(Change(before, LinkSet.of_ids(owner, range(2, contacts + 2), 2), ("why",), ("order",)))
        cleared = LinkSet.of_ids(Owner("lead", 4), range(1, 1000), 1)
        plan.add(Change(cleared, LinkSet(cleared.owner), ("why",), ("clear",), may_empty=True))
        manifest = plan.finish(read=4, **ABOUT)
    assert [one.owner.id for one in read_all(tmp_path)] == [1, 4]
    assert manifest.counts["left_out"] == {"too many contacts": 2}
    with (tmp_path / "left_out.csv").open(newline="", encoding="utf-8") as file:
        why = "contacts are to be linked, and a request that replaces them holds 299 at most"
        page = "https://acme.bitrix24.com/crm/lead/details"
        assert list(csv.reader(file))[1:] == [
            ["lead", "2", "too many contacts", f"300 {why}", f"{page}/2/"],
            ["lead", "3", "too many contacts", f"500 {why}", f"{page}/3/"],
        ]


# -- plans that were changed -------------------------------------------------------------------------------

Tamper = Callable[[dict[str, Any]], object]

EDITS: dict[str, Tamper] = {
    "another portal": lambda body: body.update(portal="https://other.bitrix24.com"),
    "another kind": lambda body: body.update(kind="deal"),
    "a kind that is none": lambda body: body.update(kind="company"),
    "a later day": lambda body: body.update(created="2027-01-01T00:00:00+00:00"),
    "a wider guard": lambda body: body["guards"].update(max_changes=10**6),
    "no guard": lambda body: body.update(guards={}),
    "a guard that is none": lambda body: body["guards"].update(max_changes="many"),
    "a guard more": lambda body: body["guards"].update(other=1),
    "other counts": lambda body: body["counts"].update(changes=1),
    "counts of another shape": lambda body: body.update(counts=5),
    "a part more": lambda body: body["parts"].append(dict(body["parts"][0])),
    "a part less": lambda body: body["parts"].clear(),
    "a part of another shape": lambda body: body.update(parts=[1]),
    "parts of another shape": lambda body: body.update(parts=5),
    "another digest": lambda body: body["parts"][0].update(sha256="0" * 64),
    "a part elsewhere": lambda body: body["parts"][0].update(name="../../other.jsonl"),
    "another rule": lambda body: body.update(rules=["other"]),
    "rules of another shape": lambda body: body.update(rules=5),
    "another hash": lambda body: body.update(hash="0" * 64),
    "no hash": lambda body: body.pop("hash"),
    "an empty hash": lambda body: body.update(hash=None),
    "no portal": lambda body: body.pop("portal"),
    "no parts": lambda body: body.pop("parts"),
}


@pytest.mark.parametrize("edit", list(EDITS.values()), ids=list(EDITS))
def test_a_manifest_that_was_edited_is_refused(edit: Tamper, plan: Path) -> None:
    body = json.loads((plan / MANIFEST).read_text())
    edit(body)
    (plan / MANIFEST).write_text(json.dumps(body))
    with pytest.raises(PlanRefused, match=r"manifest of the plan in .* edited"):
        read_manifest(plan)


@pytest.mark.parametrize("portal", ["javascript:alert(1)//", "acme.bitrix24.com", "", "file:///etc"])
def test_a_plan_whose_portal_is_no_address_is_refused(portal: str, plan: Path) -> None:
    """Its hash may be right all the same; reports make links of the address."""
    forged = replace(read_manifest(plan), portal=portal)
    (plan / MANIFEST).write_text(json.dumps({**forged.as_json(), "hash": forged.hash}))
    with pytest.raises(PlanRefused, match="names no portal's address"):
        read_manifest(plan)


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (None, "unknown"),
        (0, 0),
        (FORMAT + 1, FORMAT + 1),
        (str(FORMAT), "unknown"),
        ({"a": "secret"}, "unknown"),
    ],
)
def test_a_plan_of_another_format_is_refused_and_both_formats_are_told(
    number: object, told: object, plan: Path
) -> None:
    body = {**json.loads((plan / MANIFEST).read_text()), "format": number}
    (plan / MANIFEST).write_text(json.dumps(body))
    with pytest.raises(PlanRefused, match=rf"has format {told}, this version reads {FORMAT}"):
        read_manifest(plan)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"5", b'"x"', b"true", b"{}", b"\xff\xfe", b"[" * 100_000],
    ids=lambda content: repr(content)[:12],
)
def test_a_file_that_is_no_manifest_is_refused(content: bytes, plan: Path) -> None:
    (plan / MANIFEST).write_bytes(content)
    with pytest.raises(PlanRefused):
        read_manifest(plan)


def test_a_manifest_may_be_written_in_another_way_as_long_as_it_says_the_same(plan: Path) -> None:
    body = json.loads((plan / MANIFEST).read_text())
    (plan / MANIFEST).write_text(json.dumps(dict(reversed(body.items())), indent=4))
    assert len(read_all(plan)) == 3


@pytest.mark.parametrize("missing", ["plan", "folder"])
def test_a_place_without_a_plan_is_refused(missing: str, tmp_path: Path) -> None:
    folder = tmp_path if missing == "plan" else tmp_path / "nowhere"
    with pytest.raises(PlanRefused, match="there is no plan in"):
        read_manifest(folder)


PART_EDITS: dict[str, Callable[[Path], object]] = {
    "a contact": lambda part: part.write_text(part.read_text().replace("[3,10,", "[9,10,")),
    "a space": lambda part: part.write_text(part.read_text().replace(":", ": ", 1)),
    "a line less": lambda part: part.write_text("".join(part.read_text().splitlines(keepends=True)[:-1])),
    "a line more": lambda part: part.write_text(part.read_text() + part.read_text().splitlines()[0] + "\n"),
    "lines in another order": lambda part: part.write_text("".join(sorted(part.open().readlines()))),
    "other line ends": lambda part: part.write_bytes(part.read_bytes().replace(b"\n", b"\r\n")),
    "a cut": lambda part: part.write_bytes(part.read_bytes()[:-5]),
    "the last line end": lambda part: part.write_bytes(part.read_bytes()[:-1]),
    "everything": lambda part: part.write_bytes(b""),
}


@pytest.mark.parametrize("edit", list(PART_EDITS.values()), ids=list(PART_EDITS))
def test_a_part_that_was_edited_is_refused_by_name(edit: Callable[[Path], object], plan: Path) -> None:
    manifest = read_manifest(plan)
    before = (plan / "part-00000.jsonl").read_bytes()
    edit(plan / "part-00000.jsonl")
    assert (plan / "part-00000.jsonl").read_bytes() != before
    with pytest.raises(PlanRefused, match=r"part-00000\.jsonl .* edited"):
        check_parts(plan, manifest)


def test_a_part_that_is_missing_is_refused_by_name(plan: Path) -> None:
    (plan / "part-00000.jsonl").unlink()
    with pytest.raises(PlanRefused, match=r"part-00000\.jsonl .* is missing"):
        check_parts(plan, read_manifest(plan))


def test_parts_that_were_swapped_are_refused(tmp_path: Path) -> None:
    manifest = write(tmp_path, [change(number) for number in range(1, 2001)])
    one, two = (tmp_path / part["name"] for part in manifest.parts)
    one.rename(tmp_path / "aside")
    two.rename(one)
    (tmp_path / "aside").rename(two)
    with pytest.raises(PlanRefused, match=r"part-00000\.jsonl .* edited"):
        check_parts(tmp_path, manifest)


def test_a_contact_that_is_to_get_too_many_companies_is_left_out_by_that_name(tmp_path: Path) -> None:
    contact = Owner("contact", 1)
    with PlanWriter(tmp_path, portal="https://acme.bitrix24.com") as plan:
        before, after = (LinkSet.of_ids(contact, range(one, one + MOST_LINKS + 1), one) for one in (1, 2))
        plan.add(Change(before, after, ("why",), ("order",)))
        manifest = plan.finish(read=1, **{**ABOUT, "kind": "contact"})
    assert manifest.counts["left_out"] == {"too many companies": 1}

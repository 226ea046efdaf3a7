"""Pages of the reference that are made from what the code says: ``make arguments`` writes them.

``docs/settings.md`` comes from what Airflow is told of the provider, ``docs/files.md`` from the classes whose
fields are written, and from what their writers make of an example.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from airflow_bitrix.core.guards import Guards
from airflow_bitrix.core.links import ContactLink, LinkSet, Owner
from airflow_bitrix.core.migrations import Left
from airflow_bitrix.core.plan import Change, ChangeOutcome
from airflow_bitrix.core.restores import Origin
from airflow_bitrix.files.apply_costs import ApplyCost
from airflow_bitrix.files.approvals import Approval, Asker, write_approval
from airflow_bitrix.files.checks import Check
from airflow_bitrix.files.journals import JournalPart, write_failed
from airflow_bitrix.files.plans import Manifest, PlanWriter
from airflow_bitrix.files.reconciliations import ReconciliationWriter
from airflow_bitrix.files.snapshots import Snapshot, SnapshotWriter
from airflow_bitrix.files.taken_back import TakenBack
from airflow_bitrix.get_provider_info import get_provider_info
from scripts.argument_probes import parameters_of
from scripts.argument_tables import ROOT, as_table

SETTINGS, FILES = ROOT / "docs" / "settings.md", ROOT / "docs" / "files.md"

_SETTINGS = """\
# Settings

The section `[bitrix24]` of `airflow.cfg`, or an environment variable for each, such as
`AIRFLOW__BITRIX24__KEEP_DAYS=365`. All of them may stay as they are. `make arguments` writes this page, from
what the package tells Airflow.
"""

_FILES = """\
# Files and their schemas

What a run leaves lies under `[bitrix24] artifacts_path`, in a folder for each DAG run and plan task,
`<dag id>/<run id>/<plan task>`. [Who may read them](plans.md#who-may-read-and-name-files), and
[what each is for](plans.md#files-of-a-run). `make arguments` writes this page, from the classes whose fields
are written; the examples are made by what writes them. Formats have a number, `format`: a file of another one
is refused. Names and columns stay English in every language.

Links of an owner are short rows, `[contact id, sort, is primary, role id]`, in order; sort and role are
`null` where they are not known. `"scalar"` stands beside them where `CONTACT_ID` is at odds with the
flags.
"""

_PORTAL, _DAY = "https://acme.bitrix24.com", "2026-11-29T08:30:00+00:00"
_BEFORE = LinkSet(
    Owner("lead", 5), (ContactLink(17, 10, is_primary=True, role_id=0), ContactLink(23, 20, role_id=0))
)


_JOURNAL = """\
What became of each change, as it happened: a line about the try, with the hash of the plan; what owners held
whose write was about to leave (`writing`); and an outcome a line, whose links `before` are those that were
really there. A line `effort` tells at the end of a try what it cost, and others of comments on cards.
"""

_NOT_WRITTEN = {(Snapshot, "folder")}
"""Fields that are known from where a file lies."""


def settings_page() -> str:
    """Make the page about settings."""
    options = get_provider_info()["config"]["bitrix24"]["options"]
    rows = (
        (f"`{name}`", one["description"], one["type"], f"`{one['default']}`" if one["default"] else "empty",
         f"`{one['example']}`", one["version_added"])
        for name, one in options.items()
    )  # fmt: skip
    return (
        f"{_SETTINGS}\n{as_table(('setting', 'what it is', 'type', 'default', 'example', 'since'), rows)}\n"
    )


def files_page() -> str:
    """Make the page about files."""
    parts = [_FILES]
    with tempfile.TemporaryDirectory() as folder:
        for title, about, kinds, sample in _files(Path(folder)):
            parts.append(f"## {title}\n\n{about}")
            parts += [as_table((heads, "what it is"), _fields(kind)) for heads, kind in kinds.items()]
            if sample:
                parts.append(f"```{'text' if title.endswith('.csv`') else 'json'}\n{sample.strip()}\n```")
    return "\n\n".join(part.strip() for part in parts) + "\n"


_File = tuple[str, str, Mapping[str, type], str]
"""Title, what it is, the classes whose fields it has by what these are called, and an example."""


def _files(folder: Path) -> Iterator[_File]:
    reason, rule = "repeat lead: unlink 2 contacts and save", "release_repeat_leads"
    change = Change(
        _BEFORE, LinkSet(_BEFORE.owner), (reason,), (rule,), save=True, ends_repeat=True, may_empty=True
    )
    with PlanWriter(folder / "plan", left_out_on=_PORTAL) as plan:
        plan.add(change)
        plan.leave_out(Owner("lead", 7), "converted", "")
        guards = Guards(max_changes=1000)
        manifest = plan.finish(
            read=2, kind="lead", portal=_PORTAL, created=_DAY, rules=(rule,), guards=guards
        )
    outcomes = [
        ChangeOutcome(_BEFORE.owner, "applied", before=_BEFORE),
        ChangeOutcome(Owner("lead", 9), "failed", "ACCESS_DENIED: Access denied!"),
    ]
    (folder / "journal").mkdir()
    with JournalPart(folder / "journal" / "part-00000.jsonl", plan_hash=manifest.hash, dry_run=False) as part:
        part.writing([_BEFORE])
        part.note(outcomes[0])
    write_failed(folder / "failed.csv", outcomes, _PORTAL)
    asked = Asker("bitrix24_lead_link_cleanup", "manual__2026-11-29T08:30:00+00:00", "approve")
    write_approval(
        folder, Approval(manifest.hash, "approved", _DAY, "Olga", "2026-11-30T08:30:00+00:00", asked=asked)
    )
    with SnapshotWriter(folder / "snapshot") as snapshot:
        snapshot.add(_BEFORE)
        snapshot.finish(kind="lead", portal=_PORTAL, created=_DAY, detail="full")
    with ReconciliationWriter(folder / "reconcile.csv", "lead") as rows:
        rows.leave(Left(Owner("lead", 7), "contact not found", "contact 17 has no counterpart"))

    def text(*names: str) -> str:
        return folder.joinpath(*names).read_text(encoding="utf-8")

    yield (
        "`plan/manifest.json`",
        "What a plan says of itself, and `hash` over all of it.",
        {"field": Manifest, "field of `guards`": Guards, "field of `origin`": Origin},
        text("plan", "manifest.json"),
    )
    yield (
        "`plan/part-00000.jsonl`",
        "A change a line, at most 1,000 a file. `owner` is the id of the owner, whose kind the manifest has.",
        {"field": Change},
        text("plan", "part-00000.jsonl"),
    )
    yield "`plan/left_out.csv`", "Who is left out, and why.", {}, text("plan", "left_out.csv")
    yield (
        "`approval.json`",
        "The decision about the plan, without which it is not applied.",
        {"field": Approval, "field of `asked`": Asker},
        text("approval.json"),
    )
    yield (
        "`journal/part-00000.jsonl`",
        _JOURNAL,
        {"field": ChangeOutcome},
        re.sub(r'"at":\d+', '"at":1795952712', text("journal", "part-00000.jsonl")),
    )
    yield (
        "`check.json`",
        "What the check cost, and when it ended.",
        {"field": Check, "field of `effort`": ApplyCost},
        "",
    )
    yield "`failed.csv`", "What failed, drifted, or overwrote a change.", {}, text("failed.csv")
    yield "`taken-back-<hash>.json`", "That a restore has taken the run back.", {"field": TakenBack}, ""
    yield (
        "`snapshot/manifest.json`",
        "What a snapshot says of itself, with the digest of its lines, `sha256`.",
        {"field": Snapshot},
        text("snapshot", "manifest.json"),
    )
    yield "`snapshot/links.jsonl`", "The links of an owner a line.", {}, text("snapshot", "links.jsonl")
    yield "`reconcile.csv`", "A difference between two portals a row.", {}, text("reconcile.csv")


def _fields(kind: type) -> Iterable[tuple[str, str]]:
    return ((f"`{name}`", about) for name, about in parameters_of(kind) if (kind, name) not in _NOT_WRITTEN)


def pages() -> Mapping[Path, str]:
    """Give each page by its place."""
    return {SETTINGS: settings_page(), FILES: files_page()}


def main() -> None:
    """Write the pages."""
    for path, made in pages().items():
        path.write_text(made, encoding="utf-8")


if __name__ == "__main__":
    main()

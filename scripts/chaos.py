"""Right, or said to be wrong, whatever the portal answers: ``make chaos``.

Each seed is a portal that answers some requests wrongly, in ways drawn from all that the sandbox knows; on
it links are planned, applied by workers that are killed in the middle, checked, and restored. Afterwards the
links are compared with what was there before.

``right``: every task ended well, and every link set is exactly as it was before. ``named``: what is not is
named, with its reason, by what people are shown, or a task failed and said why. ``wrong``: anything else.
``hung``: a task came to no end.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import random
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from airflow_bitrix.core.families import family_of
from airflow_bitrix.sandbox.links import Link
from airflow_bitrix.sandbox.server import Sandbox
from airflow_bitrix.sandbox.settings import FAULTS_BY_KIND
from scripts.killing import FOR_GOOD, HungError, Worker, worker_of
from scripts.object_storage import object_storage

Verdict = Literal["right", "named", "wrong", "hung"]

CHANCES = (0.02, 0.05, 0.2)
"""Shares of requests that are answered wrongly, all kinds together."""

SIZES = {
    "lead": "leads",
    "deal": "deals",
    "quote": "quotes",
    "company": "companies",
    "smart_invoice": "invoices",
    "dynamic_1036": "items",
}
"""Kinds of owners, and what the sandbox calls their number."""

TRIES = 30
"""Tries that Airflow would grant a task; without faults the last ones."""


class FailedError(Exception):
    """A task failed for good, as Airflow would show it in red."""


@dataclass
class Tries:
    """Runs tasks as often as Airflow would, and kills some tries.

    :param rng: Says after which write.
    :param within: The most writes after which it may be: few enough that there are so many.
    """

    sandbox: Sandbox
    worker: Worker
    rng: random.Random
    within: int

    def run(self, task_id: str, operator: str, *, kills: int = 0, **arguments: Any) -> Any:
        """Give what a task returned.

        :param kills: Tries that are killed after a write.
        """
        for attempt in range(TRIES):
            if attempt > TRIES // 2:
                self.sandbox.clear_faults()
            after = (
                len(self.worker.writes) + self.rng.randrange(1, self.within) if attempt < kills else math.inf
            )
            end = self.worker.run(task_id, operator, dies_after=after, **arguments)
            if end == 0:
                return self.worker.result(task_id)
            if end == FOR_GOOD:
                raise FailedError(task_id)
        raise FailedError(f"{task_id}, {TRIES} times")


def kind_of(seed: int) -> str:
    """Give the kind of owners that a seed is about: odd ones release leads, the others take turns."""
    return "lead" if seed % 2 else tuple(SIZES)[seed // 2 % len(SIZES)]


def shuffled(sandbox: Sandbox, kind: str, rng: random.Random) -> None:
    """Give links sorts that nobody could guess, and nothing that the portal cannot be brought back to.

    Sorts of companies are those of their contacts, and no plan for companies touches them.
    """
    there = sandbox.state.tables["contact"].rows
    if family_of(kind).is_shared:
        return
    with sandbox.portal.lock:
        owners = sandbox.state.tables[kind].rows
        companies = max((row.get("COMPANY_ID") or 0 for row in owners.values()), default=0)
        while (
            sandbox.state.tables["company"].next_id <= companies
        ):  # a restore gives back those that are there
            sandbox.state.add("company", {})
        for owner, row in owners.items():
            contacts = [
                link.contact_id for link in sandbox.state.links(kind, owner) if link.contact_id in there
            ]
            sorts = sorted(rng.sample(range(1, 999), k=len(contacts)))
            placed = [Link(sort, one, sort == sorts[0]) for sort, one in zip(sorts, contacts, strict=True)]
            sandbox.state.place_links(kind, owner, tuple(placed))
            row["CONTACT_ID"] = contacts[0] if contacts else None


Rows = dict[int, tuple[int, list[Any]]]


def rows_of(sandbox: Sandbox, kind: str) -> Rows:
    """Give the company and all links by owner, as far as a restore brings them back."""
    with sandbox.portal.lock:
        return {
            owner: (row.get("COMPANY_ID") or 0, _held(kind, sandbox.state.links(kind, owner)))
            for owner, row in sandbox.state.tables[kind].rows.items()
        }


def _held(kind: str, links: Sequence[Link]) -> list[Any]:
    """Give contact, sort and primary; without sorts where a save gives others, else the contacts alone."""
    family = family_of(kind)
    if family.is_shared:
        return sorted(link.contact_id for link in links)
    return [(link.contact_id, 0 if family.is_saved else link.sort, link.primary) for link in links]


def plan_arguments(seed: int, sandbox: Sandbox, rng: random.Random) -> dict[str, Any]:
    """Give what is planned: repeat leads are released, or contacts of some kind take the place of others."""
    if seed % 2:
        company = "unlink" if seed % 4 == 1 else "keep"
        return {
            "operator": "Bitrix24PlanLinkCleanupOperator",
            "rules": ["release_repeat_leads"],
            "rule_options": {"release_repeat_leads": {"company": company}},
        }
    contacts = sorted(sandbox.state.tables["contact"].rows)
    olds = rng.sample(contacts[:-1], k=len(contacts) // 4)
    gone = {str(old): contacts[-1] for old in olds}
    return {
        "operator": "Bitrix24PlanLinkMigrationOperator",
        "migration": "contact_map",
        "kind": kind_of(seed),
        "contact_map": gone,
        "allow_saving": family_of(kind_of(seed)).is_saved,
    }


@dataclass
class Found:
    """What came of one seed."""

    seed: int
    verdict: Verdict
    struck: Counter[str]
    said: str = ""


def run_seed(seed: int, *, leads: int, chance: float = 0.0, storage: Path | None = None) -> Found:
    """Plan, apply, check and restore on a portal that answers wrongly, and judge the end.

    :param leads: How many owners there are, of the kind that the seed is about.
    :param chance: Share of requests that are answered wrongly; 0 for one of :data:`CHANCES`.
    :param storage: Where what runs leave lies; a folder of this machine by default.
    """
    rng, kind = random.Random(seed), kind_of(seed)
    sizes: dict[str, Any] = {"contacts": leads // 4, "deals": leads // 10, SIZES[kind]: leads}
    with (
        tempfile.TemporaryDirectory(prefix="chaos") as place,
        Sandbox(plan="self_hosted", **sizes) as sandbox,
    ):
        home = Path(place)
        folder = storage / f"seed-{seed}" if storage else home
        shuffled(sandbox, kind, rng)
        before = rows_of(sandbox, kind)
        known = [(name, fault) for name, faults in FAULTS_BY_KIND.items() for fault in faults]
        drawn = rng.sample(known, k=rng.choice((1, 3, len(known))))
        chance = chance or rng.choice(CHANCES)
        faults: dict[str, Any] = {"seed": seed}
        for name, fault in drawn:
            faults.setdefault(name, {})[fault] = chance / len(drawn)
        worker = worker_of(sandbox, home)
        sandbox.set_faults(**faults)
        red, hung = "", False
        try:
            carry_out(Tries(sandbox, worker, rng, min(200, leads // 8)), folder, seed, faults)
        except FailedError as error:
            red = f"{error} failed"
        except HungError:
            hung = True
        struck = Counter(sandbox.stats()["faults"])
        after = rows_of(sandbox, kind)
        differing = {owner for owner in before if before[owner] != after[owner]}
        unnamed = differing - named(folder)
        log = (home / "log.txt").read_text() if (home / "log.txt").exists() else ""
        verdict = "hung" if hung else judged(differing, unnamed, red, bare(log))
        said = red or (f"{len(unnamed)} unnamed, such as {kind} {min(unnamed)}" if unnamed else "")
        if verdict == "wrong":
            said += "\n" + log[-4000:]
        return Found(seed, verdict, struck, said)


def judged(differing: set[int], unnamed: set[int], red: str, bare_errors: Sequence[str]) -> Verdict:
    """Judge the end of a seed."""
    if bare_errors or (unnamed and not red):
        return "wrong"
    return "named" if differing or red else "right"


BARE = ("TypeError", "KeyError", "AttributeError", "IndexError", "AssertionError", "UnboundLocalError")


def bare(log: str) -> list[str]:
    """Give the errors in a log that are nobody's sentence."""
    return [line for line in log.splitlines() if line.startswith(BARE)]


def carry_out(tries: Tries, folder: Path, seed: int, faults: dict[str, Any]) -> None:
    """Plan, apply, check, plan the way back, apply that."""
    sandbox, rng = tries.sandbox, tries.rng
    arguments = plan_arguments(seed, sandbox, rng)
    run, back = folder / "run", folder / "back"
    apply = "Bitrix24ApplyLinkPlanOperator"
    plan = tries.run("plan", arguments.pop("operator"), artifacts_path=str(run), **arguments)
    tries.run("apply", apply, plan=plan, is_dry_run=False, needs_approval=False, kills=rng.choice((0, 1, 3)))
    sandbox.set_faults(**faults)
    tries.run("check", "Bitrix24CheckLinkPlanOperator", plan=plan)
    restore = "Bitrix24PlanLinkRestoreOperator"
    saving = family_of(kind_of(seed)).is_saved
    way_back = tries.run("restore", restore, artifacts_path=str(back), journal=str(run), allow_saving=saving)
    sandbox.set_faults(**faults)
    tries.run(
        "apply_back",
        apply,
        plan=way_back,
        is_dry_run=False,
        needs_approval=False,
        kills=rng.choice((0, 1, 3)),
    )
    tries.run("check_back", "Bitrix24CheckLinkPlanOperator", plan=way_back)


def named(folder: Path) -> set[int]:
    """Give the owners that what people are shown names: left out, failed, drifted, or not restored wholly.

    The portal cannot be brought back to all that it can hold, and the plan of the way back says to what not.
    """
    found: set[int] = set()
    for path in (folder / "back" / "plan").glob("part-*.jsonl"):
        for line in map(json.loads, path.read_text().splitlines()):
            if "; " in line["reasons"][0]:
                found.add(line["owner"])
    for path in (*folder.rglob("failed.csv"), *folder.rglob("left_out.csv")):
        with path.open(newline="") as rows:
            for row in csv.DictReader(rows):
                found.add(int(row.get("owner_id") or (row.get("owner") or "0").rpartition(" ")[2]))
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Run seeds, two at a time, and print a table by kind of fault."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--leads", type=int, default=3000)
    parser.add_argument("--storage", choices=("folder", "s3"), default="folder")
    parser.add_argument("--one", action="store_true", help="run the first seed here, and tell it as JSON")
    options = parser.parse_args(argv)
    if options.one:
        with object_storage() if options.storage == "s3" else nullcontext() as server:
            storage = server.folder("chaos") if server else None
            found = run_seed(options.first, leads=options.leads, storage=storage)
        json.dump(vars(found), sys.stdout)
        return 0
    seeds = range(options.first, options.first + options.seeds)
    with ThreadPoolExecutor(2) as pool:
        results = []
        for found in pool.map(lambda seed: in_process(seed, options), seeds):
            results.append(found)
            print(
                f"{len(results):4} of {len(seeds)}  seed {found.seed}: {found.verdict}  {found.said}",
                flush=True,
            )
    print(table(results))
    return int(any(found.verdict in ("wrong", "hung") for found in results))


def in_process(seed: int, options: argparse.Namespace) -> Found:
    """Run one seed in a process of its own."""
    how = ["--first", str(seed), "--leads", str(options.leads), "--storage", options.storage]
    command = [sys.executable, "-m", "scripts.chaos", "--one", *how]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=3600)
    try:
        told = json.loads(done.stdout.splitlines()[-1])  # Airflow logs to it, too
    except (ValueError, IndexError):
        return Found(seed, "wrong", Counter(), done.stderr[-3000:])
    return Found(told["seed"], told["verdict"], Counter(told["struck"]), told["said"])


def table(results: Sequence[Found]) -> str:
    """Give a table by kind of fault."""
    kinds = sorted({kind for found in results for kind in found.struck})
    lines = ["| fault | struck | seeds | right | named | wrong | hung |", "|---|---|---|---|---|---|---|"]
    for kind in [*kinds, ""]:
        hit = [found for found in results if not kind or found.struck[kind]]
        verdicts = Counter(found.verdict for found in hit)
        struck = sum(found.struck[kind] for found in hit) if kind else sum(f.struck.total() for f in hit)
        cells = [
            kind or "**all**",
            struck,
            len(hit),
            *(verdicts[one] for one in get_args(Verdict)),
        ]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())

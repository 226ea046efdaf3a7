"""Ask whether the packages of constraints.txt are known to be vulnerable: a part of ``make security``.

What is found and not excused with a reason in security/excused.txt fails. Where nobody can be asked, that is
said, and nothing fails for it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

ROOT = Path(__file__).parents[1]
_SECONDS = 300


class Verdict(NamedTuple):
    """What is known of some packages.

    :param lines: For people to read.
    :param passes: Whether nothing was found but what is excused.
    """

    lines: list[str]
    passes: bool


def read_excuses(lines: Iterable[str]) -> dict[str, str]:
    """Give reasons by the ids of vulnerabilities.

    :raises ValueError: A line has an id and no reason.
    """
    excuses = {}
    for line in lines:
        if line.strip() and not line.startswith("#"):
            name, _, reason = line.strip().partition(" ")
            if not reason.strip():
                raise ValueError(f"{name} is excused without a reason; put one behind it")
            excuses[name] = reason.strip()
    return excuses


def judged(packages: Sequence[Mapping[str, Any]], excuses: Mapping[str, str]) -> Verdict:
    """Judge what an audit tells of packages.

    :param packages: As pip-audit gives them, by name and version: with ``vulns``, or with ``skip_reason``.
    :param excuses: Reasons by ids.
    """
    skipped = [package for package in packages if "skip_reason" in package]
    lines, passes, used = [], True, set()
    for package in packages:
        for found in package.get("vulns", ()):
            names = {found["id"], *found.get("aliases", ())}
            excused = sorted(names & excuses.keys())
            used |= {*excused}
            passes = passes and bool(excused)
            mended = ", ".join(found.get("fix_versions", ())) or "no version"
            told = f"excused: {excuses[excused[0]]}" if excused else f"mended in {mended}"
            lines.append(f"{package['name']} {package['version']}: {found['id']}, {told}")
    if len(skipped) < len(packages):
        lines += [f"{name} is excused, and not found any more" for name in sorted(excuses.keys() - used)]
    if skipped:
        lines.append(f"of {len(skipped)} of {len(packages)} packages nothing could be learnt")
    return Verdict([*lines, f"{len(packages) - len(skipped)} packages were looked at"], passes)


def asked(tool: Path, pins: Sequence[str]) -> list[dict[str, Any]] | str:
    """Ask what is known of packages; or why nothing can be learnt."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(pins))
        file.flush()
        command = [str(tool), "--requirement", file.name, "--no-deps", "--disable-pip"]
        quiet = ["--format", "json", "--progress-spinner", "off"]
        try:
            done = subprocess.run(
                [*command, *quiet], capture_output=True, text=True, check=False, timeout=_SECONDS
            )
            packages: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
        except subprocess.TimeoutExpired:
            return f"no answer within {_SECONDS} s"
        except ValueError:
            return (done.stderr.strip().splitlines() or ["no answer"])[-1]
    return packages


def main(argv: Sequence[str] | None = None) -> int:
    """Audit constraints.txt; the exit code is 1 where something was found that is not excused."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tool", type=Path, help="where pip-audit is")
    options = parser.parse_args(argv)
    excuses = read_excuses((ROOT / "security" / "excused.txt").read_text().splitlines())
    pins = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    # One package first: where nobody knows it, nobody is asked a hundred times more.
    first = asked(options.tool, pins[:1])
    known = asked(options.tool, pins) if not isinstance(first, str) and "vulns" in first[0] else first
    if isinstance(known, str) or len(known) < len(pins):
        reason = known if isinstance(known, str) else known[0].get("skip_reason")
        print(f"not audited: what is known of packages cannot be had here ({reason})")
        return 0
    verdict = judged(known, excuses)
    print(*verdict.lines, sep="\n")
    return int(not verdict.passes)


if __name__ == "__main__":
    sys.exit(main())

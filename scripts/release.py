"""Build what a release is: ``make dist``. Wheel and sdist, a bill of materials, and the hashes of these.

Nothing is left in ``dist/`` that was not built twice with the same bytes, once more out of the sdist, and
looked at by the tools that a package index looks with.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import airflow_bitrix

ROOT = Path(__file__).parents[1]
SUMS = "SHA256SUMS"
DIST = "airflow-bitrix"


class NotFit(SystemExit):
    """What was built is no release."""


def build(source: Path, target: Path) -> dict[str, bytes]:
    """Build wheel and sdist of a folder; give their bytes by name."""
    command = [sys.executable, "-m", "hatchling", "build", "--directory", str(target)]
    told = subprocess.run(command, cwd=source, check=False, capture_output=True, text=True)
    if told.returncode:
        raise NotFit(told.stderr)
    return {path.name: path.read_bytes() for path in sorted(target.iterdir())}


def check_same(first: dict[str, bytes], again: dict[str, bytes], how: str) -> None:
    """Refuse files that differ from those that were built first."""
    if other := [name for name in first | again if first.get(name) != again.get(name)]:
        raise NotFit(f"not the same bytes {how}: {', '.join(other)}")


def unpacked(sdist: Path, folder: Path) -> Path:
    """Unpack an sdist, and give the folder that it holds."""
    with tarfile.open(sdist) as packed:
        packed.extractall(folder, filter="data")
    (inner,) = folder.iterdir()
    return inner


def runtime(name: str = DIST) -> dict[str, str]:
    """Give the versions of all that an installed package needs, without its extras, by name."""
    found: dict[str, str] = {}
    wanted = [Requirement(name)]
    seen = set()
    while wanted:
        one = wanted.pop()
        key = (canonicalize_name(one.name), frozenset(one.extras))
        if key in seen:
            continue
        seen.add(key)
        about = importlib.metadata.distribution(one.name)
        found[key[0]] = about.version
        for line in about.requires or ():
            needed = Requirement(line)
            extras = one.extras or {""}
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras):
                wanted.append(needed)
    del found[canonicalize_name(name)]
    return dict(sorted(found.items()))


def write_bill(target: Path, tools: Path) -> None:
    """Write the bill of materials: what the package needs, at the versions that it was tested with."""
    lines = "".join(f"{name}=={version}\n" for name, version in runtime().items())
    command = [
        str(tools / "cyclonedx-py"),
        *("requirements", "-", "--pyproject", "pyproject.toml", "--mc-type", "library"),
        *("--output-reproducible", "--validate", "--short-PURLs", "--output-file", str(target)),
    ]
    # It misses the graph of what needs what, which pins do not tell.
    quiet = {**os.environ, "PYTHONWARNINGS": "ignore::UserWarning"}
    subprocess.run(command, cwd=ROOT, check=True, input=lines, text=True, env=quiet)


def inspect(files: list[Path], tools: Path) -> None:
    """Have the files looked at as an index does, and stricter."""
    subprocess.run([str(tools / "twine"), "check", "--strict", *map(str, files)], check=True)
    wheels = [str(path) for path in files if path.suffix == ".whl"]
    subprocess.run([str(tools / "check-wheel-contents"), *wheels], cwd=ROOT, check=True)


def sums(files: list[Path]) -> str:
    """Give the hashes of files, as ``sha256sum --check`` reads them."""
    lines = (f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in sorted(files))
    return "".join(lines)


def check_version(version: str, changelog: str) -> str:
    """Tell what is missing before a version can be released; nothing where nothing is."""
    if re.search(rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d$", changelog, re.MULTILINE):
        return ""
    return f"CHANGELOG.md has no section [{version}] with a day: this is a build, and no release"


def main() -> None:
    """Build into ``dist/``."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument(
        "tools", type=Path, help="the folder with twine, check-wheel-contents and cyclonedx-py"
    )
    tools = asked.parse_args().tools.absolute()
    dist = ROOT / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    with tempfile.TemporaryDirectory() as made:
        first = build(ROOT, dist)
        check_same(first, build(ROOT, Path(made) / "again"), "when built again")
        (sdist,) = dist.glob("*.tar.gz")
        source = unpacked(sdist, Path(made) / "sdist")
        check_same(first, build(source, Path(made) / "built"), "when built out of the sdist")
    files = sorted(dist.iterdir())
    inspect(files, tools)
    version = airflow_bitrix.__version__  # an installation in place keeps that of its day
    write_bill(bill := dist / f"airflow_bitrix-{version}.cdx.json", tools)
    (dist / SUMS).write_text(sums([*files, bill]))
    print((dist / SUMS).read_text(), end="")
    print(check_version(version, (ROOT / "CHANGELOG.md").read_text()) or f"{version} can be released")


if __name__ == "__main__":
    main()

"""What is read of a Markdown page: its headings, links, code blocks and tables."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"

_FENCE = re.compile(r"^(?P<indent> *)(?P<marks>`{3,}|~{3,})(?P<info>[^`]*)$")
_HEADING = re.compile(r"^(#{1,6})\s+(.+?)\s*#*$")
_LINK = re.compile(
    r"(?P<before>!?\[(?:[^\]\[]|\[[^\]]*\])*\]\()(?P<target>[^)\s]+)(?P<after>(?:\s+\"[^\"]*\")?\))"
)
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)


@dataclass(frozen=True)
class Code:
    """A fenced block.

    :param info: What stands behind the opening fence, such as ``python``.
    :param line: The page's line on which its text begins, counted from 1.
    """

    info: str
    line: int
    text: str


@dataclass(frozen=True)
class Page:
    """A Markdown file."""

    path: Path
    text: str

    @classmethod
    def read(cls, path: Path) -> Page:
        """Read one."""
        return cls(path, path.read_text(encoding="utf-8"))

    @cached_property
    def _parts(self) -> tuple[list[tuple[int, str]], list[Code]]:
        prose: list[tuple[int, str]] = []
        blocks: list[Code] = []
        opened: re.Match[str] | None = None
        held: list[str] = []
        for number, line in enumerate(self.text.splitlines(), 1):
            fence = _FENCE.match(line)
            if opened is None and fence:
                opened, held = fence, []
            elif opened is None:
                prose.append((number, line))
            elif fence and fence["marks"].startswith(opened["marks"]) and not fence["info"].strip():
                text = "\n".join(one.removeprefix(opened["indent"]) for one in held)
                blocks.append(Code(opened["info"].strip(), number - len(held), f"{text}\n"))
                opened = None
            else:
                held.append(line)
        return prose, blocks

    @property
    def code(self) -> list[Code]:
        """All fenced blocks, in order."""
        return self._parts[1]

    @property
    def headings(self) -> list[tuple[int, str]]:
        """Level and text of each heading, in order."""
        found = (_HEADING.match(line) for _, line in self._parts[0])
        return [(len(one[1]), one[2]) for one in found if one]

    @property
    def table_rows(self) -> int:
        """How many rows all tables of the page have together."""
        return sum(line.startswith("|") for _, line in self._parts[0])

    @property
    def anchors(self) -> list[str]:
        """What may stand behind ``#`` in a link to this page: one for each heading, in order."""
        found: list[str] = []
        for _, title in self.headings:
            slug = re.sub(r"[^\w\- ]", "", re.sub(r"\]\([^)]*\)", "]", title).lower()).replace(" ", "-")
            found.append(f"{slug}-{times}" if (times := found.count(slug)) else slug)
        return found

    @property
    def links(self) -> Iterator[tuple[int, str]]:
        """Give line and target of each link and picture."""
        for found in self._links():
            yield self.text.count("\n", 0, found.start("target")) + 1, found["target"]

    def with_links(self, changed: Callable[[str], str]) -> str:
        """Give the text with each link and picture leading elsewhere."""
        text = self.text
        for found in reversed(list(self._links())):
            text = text[: found.start("target")] + changed(found["target"]) + text[found.end("target") :]
        return text

    def _links(self) -> Iterator[re.Match[str]]:
        prose = {number for number, _ in self._parts[0]}
        for found in _LINK.finditer(self.text):
            if self.text.count("\n", 0, found.start("target")) + 1 in prose:
                yield found


def is_elsewhere(target: str) -> bool:
    """Tell whether a link leads to another host."""
    return bool(_ELSEWHERE.match(target))


def pages() -> list[Page]:
    """Give all Markdown pages that people read: those of the site, and those beside the code."""
    beside = [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")]
    found = [*beside, ROOT / "benchmarks" / "README.md", *sorted(DOCS.rglob("*.md"))]
    return [Page.read(path) for path in found]

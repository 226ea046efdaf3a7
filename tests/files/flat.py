"""An object storage that knows no folders, as most do: only files, with slashes in their names."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, cast

import fsspec  # type: ignore[import-untyped]
from fsspec.implementations.memory import MemoryFileSystem  # type: ignore[import-untyped]
from upath import UPath


class FlatFileSystem(MemoryFileSystem):  # type: ignore[misc]
    """Folders are there as long as files lie in them."""

    protocol: ClassVar[tuple[str, ...]] = ("flat",)
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(path.removeprefix("flat://")))

    def mkdir(self, path: str, create_parents: bool = True, **kwargs: Any) -> None:  # noqa: FBT001, FBT002
        """Do nothing: there is nothing to make."""

    def makedirs(self, path: str, exist_ok: bool = False) -> None:  # noqa: FBT001, FBT002
        """Do nothing, likewise."""

    def rmdir(self, path: str) -> None:
        """Find no folder to remove."""
        raise FileNotFoundError(path)

    def mv_file(self, path1: str, path2: str, **_: Any) -> None:
        """Move one file."""
        self.cp_file(path1, path2)
        self.rm_file(path1)


def flat_path(name: str) -> Path:
    """Give a path in such a storage."""
    fsspec.register_implementation("flat", FlatFileSystem, clobber=True)
    return cast("Path", UPath(f"flat://{name}"))

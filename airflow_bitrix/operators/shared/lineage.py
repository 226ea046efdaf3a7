"""What a task read and wrote, for OpenLineage: data sets with their numbers of rows.

Follows https://airflow.apache.org/docs/apache-airflow-providers-openlineage/stable/guides/developer.html.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_bitrix.assets.portals import dataset_of, links_asset
from airflow_bitrix.core.links import OwnerKind

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage


@dataclass(frozen=True, slots=True)
class DataSet:
    """Something that was read or written.

    :param namespace: Where it lies: a portal, a bucket, or ``file``.
    :param name: What it is there.
    :param rows: How many rows were read or written; ``None`` where that is not known.
    """

    namespace: str
    name: str
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class Lineage:
    """What a task read and wrote."""

    inputs: tuple[DataSet, ...] = ()
    outputs: tuple[DataSet, ...] = ()


def links_of(portal: str, kind: OwnerKind, rows: int | None = None) -> DataSet:
    """Give the links of a portal's owners of a kind."""
    return DataSet(**dataset_of(links_asset(portal, kind).uri), rows=rows)


def file_of(path: Path | str, rows: int | None = None) -> DataSet:
    """Give a file or folder, on a disk or on an object storage; of that its connection is left out."""
    parts = urlsplit(str(path))
    if not parts.netloc:
        return DataSet("file", str(path), rows)
    return DataSet(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}", parts.path.lstrip("/"), rows)


class TellsLineage:
    """An operator that tells OpenLineage what it did; nothing of that is imported where nobody asks."""

    lineage: Lineage | None = None
    """What the work read and wrote, once it has ended."""

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage | None:
        """Give what was read and written, as the OpenLineage provider asks for it."""
        del task_instance
        return None if self.lineage is None else _as_facets(self.lineage)


def _as_facets(told: Lineage) -> OperatorLineage:
    # Who asks has the provider.
    from airflow.providers.openlineage.extractors import OperatorLineage  # noqa: PLC0415
    from openlineage.client.event_v2 import InputDataset, OutputDataset  # noqa: PLC0415
    from openlineage.client.facet_v2 import (  # noqa: PLC0415
        input_statistics_input_dataset,
        output_statistics_output_dataset,
    )

    read = input_statistics_input_dataset.InputStatisticsInputDatasetFacet
    written = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet

    def facets(name: str, facet: Any, rows: int | None) -> dict[str, Any]:
        return {} if rows is None else {name: facet(rowCount=rows)}

    return OperatorLineage(
        inputs=[
            InputDataset(one.namespace, one.name, inputFacets=facets("inputStatistics", read, one.rows))
            for one in told.inputs
        ],
        outputs=[
            OutputDataset(one.namespace, one.name, outputFacets=facets("outputStatistics", written, one.rows))
            for one in told.outputs
        ],
    )


def lineage(inputs: Iterable[DataSet], outputs: Iterable[DataSet]) -> Lineage:
    """Give what was read and written, each data set once, as it is named first."""

    def once(some: Iterable[DataSet]) -> tuple[DataSet, ...]:
        kept: dict[tuple[str, str], DataSet] = {}
        for one in some:
            kept.setdefault((one.namespace, one.name), one)
        return tuple(kept.values())

    return Lineage(once(inputs), once(outputs))

"""Production datasets in the telemetry store: each is stored once, by an id that comes from its content."""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from cloud.telemetry.store import IncomingShot
from contract.shot import NOT_TOLD, ProductionDataset

KEPT_MAX: Final = 4_096
"""In memory; a press has one a change of its set points."""
INSERT: Final = """INSERT INTO datasets SELECT ?, ?, ?, ?, ?, ? WHERE NOT EXISTS
  (SELECT 1 FROM datasets WHERE dataset_id = ?)"""
BY_ID: Final = """SELECT dataset_id, name, description, mould_description, names, set_values FROM datasets
  WHERE list_contains(?, dataset_id)"""


def dataset_id(dataset: ProductionDataset) -> int | None:
    """The id of a dataset, the same for the same content; None where nothing is told."""
    if dataset == NOT_TOLD:
        return None
    content = json.dumps([dataset.name, dataset.description, dataset.mould_description, dataset.set_points])
    return int.from_bytes(hashlib.blake2b(content.encode(), digest_size=8).digest(), "big", signed=True)


class Datasets:
    """Those used last, which are known to be stored; not for two threads at once."""

    def __init__(self) -> None:
        self._by_id: OrderedDict[int, ProductionDataset] = OrderedDict()
        self._ids: dict[ProductionDataset, int] = {}

    def admit(self, shots: Sequence[IncomingShot]) -> list[tuple[Any, ...]]:
        """Give each dataset its id; the parameters of INSERT for those that may not be stored."""
        new = []
        for dataset in dict.fromkeys(record.scored.shot.dataset for record in shots):
            number = dataset_id(dataset) if dataset not in self._ids else None
            if number is not None:
                self.keep(number, dataset)
                names, values = _columns(dataset)
                texts = (dataset.name, dataset.description, dataset.mould_description)
                new.append((number, *texts, names, values, number))
        return new

    def id_of(self, dataset: ProductionDataset) -> int | None:
        """The id of an admitted dataset."""
        return self._ids[dataset] if dataset in self._ids else dataset_id(dataset)

    def keep(self, number: int, dataset: ProductionDataset) -> None:
        """Remember a stored one; the one that was kept longest is forgotten for it."""
        self._by_id[number], self._ids[dataset] = dataset, number
        while len(self._by_id) > KEPT_MAX:
            _, forgotten = self._by_id.popitem(last=False)
            self._ids.pop(forgotten, None)

    def known(self, numbers: Iterable[int]) -> dict[int, ProductionDataset]:
        """Those of these that are remembered."""
        return {number: self._by_id[number] for number in numbers if number in self._by_id}


def of_rows(found: Iterable[tuple[Any, ...]]) -> Mapping[int, ProductionDataset]:
    """The answer to BY_ID."""
    return {
        number: ProductionDataset(name, description, mould_description, tuple(zip(names, values, strict=True)))
        for number, name, description, mould_description, names, values in found
    }


def _columns(dataset: ProductionDataset) -> tuple[list[str], list[float]]:
    return [name for name, _ in dataset.set_points], [value for _, value in dataset.set_points]

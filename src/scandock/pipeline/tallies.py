"""What readers counted over series, kept by container until it is known which containers stand."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from scandock.model.series import SeriesTally


class Tallies:
    """What readers counted, kept by container until it is known which containers stand."""

    def __init__(self) -> None:
        self._by_container: dict[bytes, dict[tuple[str, str], SeriesTally]] = defaultdict(dict)

    def add(self, container: bytes, values: tuple[Any, ...]) -> None:
        """Add one series of one container, as a reader sent it."""
        study_uid, series_uid, objects, frames, value_counts, nested, overfull = values
        tally = SeriesTally(study_uid, series_uid, objects, frames, value_counts, nested, set(overfull))
        earlier = self._by_container[container].get((study_uid, series_uid))
        if earlier is None:
            self._by_container[container][study_uid, series_uid] = tally
        else:
            earlier.merge(tally)

    def drop_under(self, container: bytes) -> None:
        """Forget a refused container and all inside it."""
        for key in [key for key in self._by_container if key.startswith(container)]:
            del self._by_container[key]

    def study_uids(self) -> set[str]:
        """The studies met so far."""
        return {study_uid for tallies in self._by_container.values() for study_uid, _ in tallies}

    def studies(self) -> dict[str, list[SeriesTally]]:
        """By study, its series sorted by UID; containers in archive order: the outcome never depends on time."""
        merged: dict[tuple[str, str], SeriesTally] = {}
        for container in sorted(self._by_container):
            for key, tally in self._by_container[container].items():
                if key in merged:
                    merged[key].merge(tally)
                else:
                    merged[key] = tally
        by_study: dict[str, list[SeriesTally]] = defaultdict(list)
        for (study_uid, _), tally in sorted(merged.items()):
            by_study[study_uid].append(tally)
        return by_study

"""What readers counted over series, kept by container until it is known which containers stand.

Objects that a project's import filter would leave out are counted apart, until it is known whose each study is.
"""

from __future__ import annotations

import json
from collections import defaultdict
from operator import itemgetter
from typing import Any

from scandock.model.series import SeriesTally


class Tallies:
    """What readers counted, kept by container until it is known which containers stand."""

    def __init__(self) -> None:
        self._by_container: dict[bytes, dict[tuple[str, str, str], SeriesTally]] = defaultdict(dict)
        """By study, series, and the projects that would leave the objects out."""

    def add(self, container: bytes, values: tuple[Any, ...]) -> None:
        """Add one series of one container, as a reader sent it."""
        study_uid, series_uid, objects, frames, value_counts, nested, overfull, left_out_by = values
        tally = SeriesTally(study_uid, series_uid, objects, frames, value_counts, nested, set(overfull))
        key = (study_uid, series_uid, left_out_by)
        earlier = self._by_container[container].get(key)
        if earlier is None:
            self._by_container[container][key] = tally
        else:
            earlier.merge(tally)

    def unite(self, study_uid: str) -> None:
        """Let all series be of one study."""
        for container, tallies in self._by_container.items():
            united: dict[tuple[str, str, str], SeriesTally] = {}
            for (_, series_uid, left_out_by), tally in sorted(tallies.items(), key=itemgetter(0)):
                tally.study_uid = study_uid
                earlier = united.setdefault((study_uid, series_uid, left_out_by), tally)
                if earlier is not tally:
                    earlier.merge(tally)
            self._by_container[container] = united

    def drop_under(self, container: bytes) -> None:
        """Forget a refused container and all inside it."""
        for key in [key for key in self._by_container if key.startswith(container)]:
            del self._by_container[key]

    def leave_out(self, study_uid: str, project: str) -> None:
        """Forget the objects of a study that the filter of its project leaves out."""
        for tallies in self._by_container.values():
            for key in [key for key in tallies if key[0] == study_uid and key[2] and project in json.loads(key[2])]:
                del tallies[key]

    def study_uids(self) -> set[str]:
        """The studies met so far."""
        return {study_uid for tallies in self._by_container.values() for study_uid, _, _ in tallies}

    def studies(self) -> dict[str, list[SeriesTally]]:
        """By study, its series sorted by UID; containers in archive order: the outcome never depends on time."""
        merged: dict[tuple[str, str], SeriesTally] = {}
        sums: set[tuple[str, str]] = set()
        for container in sorted(self._by_container):
            for (*key, _), tally in sorted(self._by_container[container].items(), key=itemgetter(0)):
                series_key = (key[0], key[1])
                if series_key not in merged:
                    merged[series_key] = tally
                    continue
                if series_key not in sums:
                    sums.add(series_key)
                    total = SeriesTally(*series_key)
                    total.merge(merged[series_key])
                    merged[series_key] = total
                merged[series_key].merge(tally)
        by_study: dict[str, list[SeriesTally]] = defaultdict(list)
        for (study_uid, _), tally in sorted(merged.items()):
            by_study[study_uid].append(tally)
        return by_study

"""Columns of a chart: where each stands in a drawing of WIDTH. The numbers stand in a table beneath it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from scandock.model.dataclass import dataclass

WIDTH: Final = 640
BASE: Final = 140
"""Where the columns stand; the months' names are below."""
ROOM: Final = 10
"""Above the highest column."""
SHOWN: Final = 24
"""Months at most: the latest."""
GAP: Final = 0.3
"""Of a month's room."""


@dataclass(frozen=True, slots=True)
class Column:
    """One piece of a month's column, from the top left; `name` says of what, `value` how much it stands for."""

    month: str
    name: str
    value: int
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Chart:
    """Columns, names of months with the middle of their room, and the number that the highest column stands for."""

    columns: tuple[Column, ...]
    months: tuple[tuple[str, float], ...]
    highest: int
    top: int = ROOM
    """Where the highest column ends."""


def columns(months: Sequence[str], rows: Sequence[tuple[str, Sequence[int]]]) -> Chart:
    """The latest months; several rows stand on each other."""
    shown_months = list(months[-SHOWN:])
    first = len(months) - len(shown_months)
    sums = [sum(values[first + n] for _, values in rows) for n in range(len(shown_months))]
    highest = max(sums, default=0)
    column_room = WIDTH / max(len(shown_months), 6)
    chart_columns = []
    for n in range(len(shown_months)):
        top = float(BASE)
        for name, values in rows:
            height = round(values[first + n] / highest * (BASE - ROOM), 1) if highest else 0.0
            if height:
                top -= height
                x, width = round(n * column_room + column_room * GAP / 2, 1), round(column_room * (1 - GAP), 1)
                chart_columns.append(Column(shown_months[n], name, values[first + n], x, round(top, 1), width, height))
    return Chart(
        tuple(chart_columns),
        tuple((month, round(n * column_room + column_room / 2, 1)) for n, month in enumerate(shown_months)),
        highest,
    )

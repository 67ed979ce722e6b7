"""The table of `lookup`: lines `type/key = value`, blank lines, and comments that begin with `//`.

A table identifies people: it is shown and logged nowhere, and messages name its lines alone.
"""

from __future__ import annotations

from dataclasses import field
from typing import Final

from scandock.deidentification.script.errors import LookupTableRefused
from scandock.model.dataclass import dataclass

MAX_BYTES: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class LookupTable:
    values: dict[tuple[str, str], str] = field(default_factory=dict, repr=False)

    def find(self, kind: str, key: str) -> str | None:
        """The value of a key, None where the table has none."""
        return self.values.get((kind, key))


def parse_lookup_table(text: str, name: str = "The lookup table") -> LookupTable:
    """Read a table; `name` is how messages call it. Raises LookupTableRefused."""
    if len(text) > MAX_BYTES:
        raise LookupTableRefused(name, 1, f"begins a table of more than {MAX_BYTES >> 20} MB")
    values: dict[tuple[str, str], str] = {}
    lines: dict[tuple[str, str], int] = {}
    for number, written in enumerate(text.removeprefix("\N{BYTE ORDER MARK}").split("\n"), 1):
        line = written.strip()
        if not line or line.startswith("//"):
            continue
        kind, slash, rest = line.partition("/")
        separator = " = " if " = " in rest else "="
        key, equals, value = rest.partition(separator)
        entry = kind.strip(), key.strip()
        if not (slash and equals and all(entry)):
            raise LookupTableRefused(name, number, "is not type/key = value")
        if values.setdefault(entry, value.strip()) != value.strip():
            raise LookupTableRefused(name, number, f"gives the key of line {lines[entry]} another value")
        lines.setdefault(entry, number)
    return LookupTable(values)

"""A disc's DICOMDIR lists what the disc held: what it lists and the archive lacks is worth a warning."""

from __future__ import annotations

import json

from scandock.formats.shown import shown
from scandock.pipeline.ledger import Ledger
from scandock.rules.notices import Notice

NAMED = 3


def missing_of_discs(ledger: Ledger) -> list[Notice]:
    """One warning for each DICOMDIR that lists files which are not in its archive (rules.md, images 1)."""
    found = []
    for path, folder, facts in ledger.rows(
        "SELECT path, folder, facts FROM entry WHERE code = 'dicomdir' AND facts NOT IN ('', '[]') ORDER BY ordinal"
    ):
        listed = [name.replace("\\", "/").strip("/") for name in json.loads(facts)]
        there = {
            name.replace("\\", "/").casefold().rstrip(".")
            for (name,) in ledger.stream(
                "SELECT SUBSTR(path, ?) FROM entry WHERE SUBSTR(path, 1, ?) = ?", (len(folder) + 1, len(folder), folder)
            )
        }
        bare = {name.rpartition(".")[0] for name in there}
        lacking = [name for name in listed if name.casefold() not in there and name.casefold() not in bare]
        if lacking:
            names = ", ".join(shown(name) for name in lacking[:NAMED])
            found.append(
                Notice(
                    code="dicomdir_missing",
                    message=f"{shown(path)} lists {len(listed)} files; {len(lacking)} are not in the archive: {names}"
                    + (" and more." if len(lacking) > NAMED else "."),
                    remedy="Check that the disc was copied whole.",
                )
            )
    return found

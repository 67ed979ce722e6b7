"""Inner archives without any image (a zip of logs, an .npz): files like any other, kept or ignored as a whole.

Readers tell of such an archive behind all that is in it, as far as each of them saw; here, with all told, either the
archive's line goes or the lines of what is in it.
"""

from __future__ import annotations

from collections.abc import Iterable

from scandock.model.entry import after
from scandock.pipeline.found import INNER
from scandock.pipeline.ledger import Ledger


def fold_inner(ledger: Ledger, damaged: Iterable[bytes]) -> list[str]:
    """Let an inner archive stand for its entries where they are neither images nor promise to be.

    Only beside images that lie in the same archive as it does: in a bundle it may be the next patient's, and what is in
    it is ignored; gives the paths of such. `damaged` are the containers whose rest could not be read: such a one, and
    what holds it, is judged by its entries.
    """
    broken = set(damaged)
    beside: dict[bytes, bool] = {}
    folded, left = b"", []
    for number, path in ledger.rows("SELECT ordinal, path FROM entry WHERE facts = ? ORDER BY ordinal", (INNER,)):
        if folded and number.startswith(folded):
            continue
        outer = number[:-4]
        opened = any(one.startswith(number) for one in broken) or _has_image(ledger, number)
        if not opened and outer not in beside:
            beside[outer] = _holds_images(ledger, outer)
        if opened or not beside[outer]:
            ledger.run("DELETE FROM entry WHERE ordinal = ?", (number,))
            left += [] if opened else [path]
            continue
        ledger.run("DELETE FROM entry WHERE ordinal > ? AND ordinal < ?", (number, after(number)))
        folded = number
    return left


def _has_image(ledger: Ledger, container: bytes) -> bool:
    """Whether anything in a container is an image, promises to be one or can't be read; a disc's index promises too."""
    return bool(
        ledger.rows(
            "SELECT 1 FROM entry WHERE ordinal > ? AND ordinal < ?"
            " AND (content NOT IN ('loose', 'junk', 'special') AND facts <> ? OR code = 'dicomdir') LIMIT 1",
            (container, after(container), INNER),
        )
    )


def _holds_images(ledger: Ledger, container: bytes) -> bool:
    """Whether images lie in a container itself, not only in archives within it."""
    end = after(container)
    return bool(
        ledger.rows(
            "SELECT 1 FROM entry WHERE ordinal > ? AND (? = x'' OR ordinal < ?) AND LENGTH(ordinal) = ?"
            " AND content IN ('dicom', 'ecat') LIMIT 1",
            (container, end, end, len(container) + 4),
        )
    )

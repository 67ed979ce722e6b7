"""What an archive's entries mean for the archive: which containers are refused, and whether the whole upload is.

rules.md, "Which entries are images", 3 and 5: damage in an inner archive costs that one alone, in the outer one all;
with the flag off any unparseable entry refuses the upload, all of them named; no image at all refuses it too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from scandock.formats.shown import shown
from scandock.model.entry import Content
from scandock.model.verdicts import Verdict
from scandock.pipeline.inner_files import fold_inner
from scandock.pipeline.ledger import Ledger
from scandock.rules.notices import Notice

SEND_AGAIN = "Send that inner archive again, made anew."
NAMED = 20
"""Entries that a message names; the receipt names all."""


_DOUBLED = re.compile(r"\A('.{0,1000}'): (?=\1)")
"""The name of an archive before a sentence that begins with it. A longer name stays doubled: each place where it may
end is compared with what follows."""


@dataclass(slots=True)
class Judgement:
    """`refused` says why nothing is taken; `lost` counts what else could not be (state `partly`)."""

    refused: Notice | None = None
    lost: int = 0
    warnings: list[Notice] = field(default_factory=list)
    containers: list[bytes] = field(default_factory=list)
    """Inner archives that were refused."""


def judge(ledger: Ledger, damaged: list[tuple[bytes, str, str]], *, ignore_unparsable: bool) -> Judgement:
    """Give refused entries their verdict, and say what becomes of the upload."""
    judgement = Judgement()
    without = fold_inner(ledger, (container for container, _, _ in damaged))
    _containers(ledger, damaged, judgement)
    if judgement.refused is None and not ignore_unparsable:
        judgement.refused = _unparseable(ledger)
    if judgement.refused is None:
        judgement.refused = _no_images(ledger)
    if judgement.refused is not None:
        refuse_all(ledger, judgement)
        return judgement
    for path in without[:NAMED]:
        said = f"{shown(path)} holds no image, and was not kept: it belongs to no one session."
        remedy = "Put it into a folder with the images of its session."
        judgement.warnings.append(Notice(code="inner_no_images", message=said, remedy=remedy))
    return judgement


def refuse_all(ledger: Ledger, judgement: Judgement) -> None:
    """Nothing of the upload is taken: every entry that has no verdict yet is refused with it."""
    assert judgement.refused is not None
    ledger.run(
        "UPDATE entry SET code = CASE WHEN content IN ('unparseable', 'bad', 'inner') AND code <> '' THEN code ELSE"
        " 'archive_refused' END, message = CASE WHEN content IN ('unparseable', 'bad', 'inner') AND message <> '' THEN"
        " message ELSE ? END, verdict = ? WHERE verdict = ''",
        (f"Its archive was refused: {judgement.refused.message}", Verdict.REFUSED),
    )


def _containers(ledger: Ledger, damaged: list[tuple[bytes, str, str]], judgement: Judgement) -> None:
    fates: dict[bytes, list[tuple[str, str, str]]] = {}
    for container, code, message in damaged:
        fates.setdefault(container, []).append((code, "", _DOUBLED.sub("", message)))
    for number, path, code, message in ledger.rows(
        "SELECT ordinal, path, code, message FROM entry WHERE content = 'bad' ORDER BY ordinal"
    ):
        fates.setdefault(number[:-4], []).append((code, path, message))
    for container, reasons in sorted(fates.items(), key=lambda item: (len(item[0]), item[0])):
        code, sentence = reasons[0][0], _sentence(reasons)
        if container == b"":
            judgement.refused = Notice(code=code, message=sentence, remedy=_remedy(code))
            continue
        judgement.lost += 1
        judgement.containers.append(container)
        said = f"An inner archive was refused: {sentence}"
        judgement.warnings.append(Notice(code="inner_refused", message=said, remedy=_remedy(code) or SEND_AGAIN))
        ledger.refuse_under(container, f"Its archive was refused: {sentence}")
    ledger.run(
        "UPDATE entry SET code = 'empty_archive', message = ? WHERE content = 'inner' AND size = 0"
        " AND code = 'not_an_archive'",
        ("It is empty: its copy was probably cut.",),
    )
    for path, code, message in ledger.rows(
        "SELECT path, code, message FROM entry WHERE content = 'inner' ORDER BY ordinal"
    ):
        judgement.lost += 1
        if judgement.lost <= NAMED:
            said = f"{shown(path)} was refused ({code}): {message}"
            judgement.warnings.append(Notice(code="inner_refused", message=said, remedy=_remedy(code) or SEND_AGAIN))
    ledger.run("UPDATE entry SET verdict = ? WHERE content = 'inner'", (Verdict.REFUSED,))


def _in_resource_folders(ledger: Ledger) -> str:
    """What is said where files lie in resource folders, in which nothing counts as an image."""
    rows = ledger.rows(
        "SELECT DISTINCT resource FROM entry WHERE content = ? AND resource <> '' ORDER BY resource", (Content.LOOSE,)
    )
    folders = [shown(f"resources/{name}/files") for (name,) in rows]
    if not folders:
        return ""
    more = f" and {len(folders) - 3} more" if len(folders) > 3 else ""
    return (
        f" Files in resource folders ({', '.join(folders[:3])}{more}) don't count as images, also where they are DICOM:"
        " only those named DICOM, ECAT or secondary hold images."
    )


def _sentence(reasons: list[tuple[str, str, str]]) -> str:
    named = [named_in(path, message) if path else message for _, path, message in reasons[:NAMED]]
    more = f" And {len(reasons) - NAMED} more entries." if len(reasons) > NAMED else ""
    return " ".join(dict.fromkeys(named)) + more


def named_in(path: str, message: str) -> str:
    """`message` with the entry's whole path: in place of its name where it stands there already, else before it."""
    whole = shown(path)
    for name in (whole, shown(path.rpartition("!")[2])):
        if name in message:
            return message.replace(name, whole, 1)
    return f"{whole}: {message}"


def _remedy(code: str) -> str:
    if code == "encrypted":
        return "Make the archive again without a password."
    if code in ("damaged", "truncated"):
        return "Send the archive again, or make it anew."
    if code == "unknown_method":
        return "Make the archive again with the ordinary compression (deflate)."
    return ""


def _unparseable(ledger: Ledger) -> Notice | None:
    found = ledger.rows(
        "SELECT path, message FROM entry WHERE content = ? AND verdict = '' ORDER BY ordinal", (Content.UNPARSEABLE,)
    )
    if not found:
        return None
    names = "; ".join(f"{shown(path)} ({message.rstrip('.')})" for path, message in found)
    return Notice(
        code="unparseable_entries",
        message=f"{len(found)} of its entries can't be read as images: {names}.",
        remedy="Take them out, or import with unparseable entries ignored.",
    )


def _no_images(ledger: Ledger) -> Notice | None:
    counts = dict(ledger.rows("SELECT content, COUNT(*) FROM entry WHERE verdict = '' GROUP BY content"))
    if counts.get(Content.DICOM) or counts.get(Content.ECAT):
        return None
    found = [
        f"{counts[kind]} {name}"
        for kind, name in (
            (Content.UNPARSEABLE, "unparseable"),
            (Content.LOOSE, "of other kinds"),
            (Content.JUNK, "junk"),
            (Content.SPECIAL, "links or devices"),
        )
        if counts.get(kind)
    ]
    refused = ledger.rows("SELECT COUNT(*) FROM entry WHERE verdict = ?", (Verdict.REFUSED,))[0][0]
    if refused:
        found.append(f"{refused} in refused inner archives")
    examples = ledger.rows(
        "SELECT path, message FROM entry WHERE content IN (?, ?, 'inner', 'bad') ORDER BY ordinal LIMIT 3",
        (Content.UNPARSEABLE, Content.LOOSE),
    )
    named = "; ".join(named_in(path, message.rstrip(".")) if message else shown(path) for path, message in examples)
    what = f"It holds {', '.join(found)}" if found else "It is empty"
    return Notice(
        code="no_images",
        message=f"No image files found. {what}{f' ({named})' if named else ''}.{_in_resource_folders(ledger)}",
        remedy="Upload an archive that holds DICOM objects or ECAT 7 files.",
    )

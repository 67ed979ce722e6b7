"""What an archive's entries mean for the archive: which containers are refused, and whether the whole upload is.

rules.md, "Which entries are images", 3 and 5: damage in an inner archive costs that one alone, in the outer one all;
with the flag off any unparseable entry refuses the upload, all of them named; no image at all refuses it too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import field

from scandock.formats.display_names import quote
from scandock.model.dataclass import dataclass
from scandock.model.entry import Content, ordinal_after
from scandock.model.verdicts import Verdict
from scandock.pipeline.entry_writer import INNER
from scandock.pipeline.ledger import NO_OBJECT, Ledger
from scandock.rules.notices import Notice

SEND_AGAIN = "Send that inner archive again, made anew."
NAMED = 20
"""Entries that a message names; the receipt names all."""


_DOUBLED = re.compile(r"\A('.{0,1000}'): (?=\1)")
"""The name of an archive before a sentence that begins with it. A longer name stays doubled: each place where it may
end is compared with what follows."""


@dataclass(slots=True)
class UploadVerdict:
    """`refused` says why nothing is taken; `lost` counts what else could not be (state `partly`)."""

    refused: Notice | None = None
    lost: int = 0
    failed_sessions: int = 0
    """Sessions that are not stored since objects of theirs could not be de-identified."""
    warnings: list[Notice] = field(default_factory=list)
    containers: list[bytes] = field(default_factory=list)
    """Inner archives that were refused."""


def assign_verdicts(ledger: Ledger, damaged: list[tuple[bytes, str, str]], *, ignore_unparsable: bool) -> UploadVerdict:
    """Give refused entries their verdict, and say what becomes of the upload."""
    upload_verdict = UploadVerdict()
    without = fold_inner_archives(ledger, (container for container, _, _ in damaged))
    _refuse_containers(ledger, damaged, upload_verdict)
    if upload_verdict.refused is None and not ignore_unparsable:
        upload_verdict.refused = _unparseable_notice(ledger)
    if upload_verdict.refused is None:
        if ledger.has_filters:
            ledger.run(
                "UPDATE entry SET verdict = ? WHERE content = ? AND verdict = ''", (Verdict.FILTERED, Content.FILTERED)
            )
        upload_verdict.refused = _no_images_notice(ledger)
    if upload_verdict.refused is not None:
        refuse_all(ledger, upload_verdict)
        return upload_verdict
    for path in without[:NAMED]:
        message = f"{quote(path)} holds no image, and was not kept: it belongs to no one session."
        remedy = "Put it into a folder with the images of its session."
        upload_verdict.warnings.append(Notice(code="inner_no_images", message=message, remedy=remedy))
    return upload_verdict


def all_filtered_notice() -> Notice:
    """Why an upload is refused of which import filters leave out every image."""
    return Notice(
        code="all_filtered",
        message="The import filters leave out every image of the archive.",
        remedy="Look at the receipt, which names the line of the filter, and ask an owner of the project (of the site's"
        " filter an administrator) to change it.",
    )


def refuse_all(ledger: Ledger, upload_verdict: UploadVerdict) -> None:
    """Nothing of the upload is taken: every entry that has no verdict yet is refused with it."""
    assert upload_verdict.refused is not None
    ledger.run(
        "UPDATE entry SET code = CASE WHEN content IN ('unparseable', 'bad', 'inner') AND code <> '' THEN code ELSE"
        " 'archive_refused' END, message = CASE WHEN content IN ('unparseable', 'bad', 'inner') AND message <> '' THEN"
        " message ELSE ? END, verdict = ? WHERE verdict = ''",
        (f"Its archive was refused: {upload_verdict.refused.message}", Verdict.REFUSED),
    )


def _refuse_containers(ledger: Ledger, damaged: list[tuple[bytes, str, str]], upload_verdict: UploadVerdict) -> None:
    reasons_by_container: dict[bytes, list[tuple[str, str, str]]] = {}
    for container, code, message in damaged:
        reasons_by_container.setdefault(container, []).append((code, "", _DOUBLED.sub("", message)))
    for number, path, code, message in ledger.rows(
        f"SELECT ordinal, path, code, message FROM entry WHERE content = 'bad' AND {NO_OBJECT} ORDER BY ordinal"
    ):
        reasons_by_container.setdefault(number[:-4], []).append((code, ledger.names.path(number, path), message))
    for container, reasons in sorted(reasons_by_container.items(), key=lambda item: (len(item[0]), item[0])):
        code, sentence = reasons[0][0], _sentence(reasons)
        if container == b"":
            upload_verdict.refused = Notice(code=code, message=sentence, remedy=_remedy(code))
            continue
        upload_verdict.lost += 1
        upload_verdict.containers.append(container)
        warning = f"An inner archive was refused: {sentence}"
        upload_verdict.warnings.append(
            Notice(code="inner_refused", message=warning, remedy=_remedy(code) or SEND_AGAIN)
        )
        ledger.refuse_under(container, f"Its archive was refused: {sentence}")
    ledger.run(
        "UPDATE entry SET code = 'empty_archive', message = ?"
        f" WHERE content = 'inner' AND {NO_OBJECT} AND size = 0 AND code = 'not_an_archive'",
        ("It is empty: its copy was probably cut.",),
    )
    for number, path, code, message in ledger.rows(
        f"SELECT ordinal, path, code, message FROM entry WHERE content = 'inner' AND {NO_OBJECT} ORDER BY ordinal"
    ):
        upload_verdict.lost += 1
        if upload_verdict.lost <= NAMED:
            warning = f"{quote(ledger.names.path(number, path))} was refused ({code}): {message}"
            upload_verdict.warnings.append(
                Notice(code="inner_refused", message=warning, remedy=_remedy(code) or SEND_AGAIN)
            )
    ledger.run(f"UPDATE entry SET verdict = ? WHERE content = 'inner' AND {NO_OBJECT}", (Verdict.REFUSED,))


def _describe_resource_folders(ledger: Ledger) -> str:
    """What is said where files lie in resource folders, in which nothing counts as an image."""
    rows = ledger.rows(
        "SELECT DISTINCT resource FROM entry WHERE content = ? AND resource <> '' ORDER BY resource", (Content.LOOSE,)
    )
    folders = [quote(f"resources/{name}/files") for name in (ledger.names.folder(row[0]) for row in rows) if name]
    if not rows:
        return ""
    more = f" and {len(folders) - 3} more" if len(folders) > 3 else ""
    named = f" ({', '.join(folders[:3])}{more})" if folders else ""
    return (
        f" Files in resource folders{named} don't count as images, also where they are DICOM:"
        " only those named DICOM, ECAT or secondary hold images."
    )


def _sentence(reasons: list[tuple[str, str, str]]) -> str:
    named = [name_entry(path, message) if path else message for _, path, message in reasons[:NAMED]]
    more = f" And {len(reasons) - NAMED} more entries." if len(reasons) > NAMED else ""
    return " ".join(dict.fromkeys(named)) + more


def name_entry(path: str, message: str) -> str:
    """`message` with the entry's whole path: in place of its name where it stands there already, else before it."""
    whole = quote(path)
    for name in (whole, quote(path.rpartition("!")[2])):
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


def _unparseable_notice(ledger: Ledger) -> Notice | None:
    rows = ledger.rows(
        "SELECT ordinal, path, message FROM entry WHERE content = ? AND verdict = '' ORDER BY ordinal",
        (Content.UNPARSEABLE,),
    )
    if not rows:
        return None
    names = "; ".join(
        f"{quote(ledger.names.path(number, path))} ({message.rstrip('.')})" for number, path, message in rows
    )
    return Notice(
        code="unparseable_entries",
        message=f"{len(rows)} of its entries can't be read as images: {names}.",
        remedy="Take them out, or import again with unreadable files ignored.",
    )


def _no_images_notice(ledger: Ledger) -> Notice | None:
    if ledger.rows("SELECT 1 FROM entry WHERE verdict = '' AND content IN ('dicom', 'ecat') LIMIT 1"):
        return None
    counts = dict(ledger.rows("SELECT content, COUNT(*) FROM entry WHERE verdict = '' GROUP BY content"))
    if ledger.has_filters and ledger.rows("SELECT 1 FROM entry WHERE verdict = ? LIMIT 1", (Verdict.FILTERED,)):
        return all_filtered_notice()
    contents = [
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
        contents.append(f"{refused} in refused inner archives")
    examples = ledger.rows(
        "SELECT ordinal, path, message FROM entry WHERE content IN (?, ?, 'inner', 'bad') ORDER BY ordinal LIMIT 3",
        (Content.UNPARSEABLE, Content.LOOSE),
    )
    named = "; ".join(
        name_entry(name, message.rstrip(".")) if message else quote(name)
        for name, message in ((ledger.names.path(number, path), message) for number, path, message in examples)
    )
    what = f"It holds {', '.join(contents)}" if contents else "It is empty"
    return Notice(
        code="no_images",
        message=f"No image files found. {what}{f' ({named})' if named else ''}.{_describe_resource_folders(ledger)}",
        remedy="Upload an archive that holds DICOM objects or ECAT 7 files.",
    )


def fold_inner_archives(ledger: Ledger, damaged: Iterable[bytes]) -> list[str]:
    """Let an inner archive stand for its entries where they are neither images nor promise to be.

    Only beside images that lie in the same archive as it does: in a bundle it may be the next patient's, and what is in
    it is ignored; gives what such are called. `damaged` are the containers whose rest could not be read: such a one,
    and what holds it, is judged by its entries.
    """
    broken = set(damaged)
    beside: dict[bytes, bool] = {}
    folded, ignored_paths = b"", []
    for number, path in ledger.rows(
        f"SELECT ordinal, path FROM entry INDEXED BY entry_other WHERE facts = ? AND {NO_OBJECT} ORDER BY ordinal",
        (INNER,),
    ):
        if folded and number.startswith(folded):
            continue
        outer = number[:-4]
        opened = any(container.startswith(number) for container in broken) or _has_image(ledger, number)
        if not opened and outer not in beside:
            beside[outer] = _holds_images(ledger, outer)
        if opened or not beside[outer]:
            ledger.run("DELETE FROM entry WHERE ordinal = ?", (number,))
            ignored_paths += [] if opened else [ledger.names.path(number, path)]
            continue
        ledger.run("DELETE FROM entry WHERE ordinal > ? AND ordinal < ?", (number, ordinal_after(number)))
        folded = number
    return ignored_paths


def _has_image(ledger: Ledger, container: bytes) -> bool:
    """Whether anything in a container is an image, promises to be one or can't be read; a disc's index promises too."""
    return bool(
        ledger.rows(
            "SELECT 1 FROM entry WHERE ordinal > ? AND ordinal < ?"
            " AND (content NOT IN ('loose', 'junk', 'special') AND facts <> ? OR code = 'dicomdir') LIMIT 1",
            (container, ordinal_after(container), INNER),
        )
    )


def _holds_images(ledger: Ledger, container: bytes) -> bool:
    """Whether images lie in a container itself, not only in archives within it."""
    end = ordinal_after(container)
    return bool(
        ledger.rows(
            "SELECT 1 FROM entry WHERE ordinal > ? AND (? = x'' OR ordinal < ?) AND LENGTH(ordinal) = ?"
            " AND content IN ('dicom', 'ecat', 'filtered') LIMIT 1",
            (container, end, end, len(container) + 4),
        )
    )

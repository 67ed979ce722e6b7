"""The sessions of an import: a table on a terminal, a line each in a pipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from scandock.cli.text_format import format_count, printable
from scandock.model.sizes import format_size

if TYPE_CHECKING:
    from rich.table import Table

MAX_SHOWN: Final = 40
"""Sessions that the table shows; beyond that it says how many more there are."""
_GAP: Final = 3
"""Columns between two columns of the table."""

STATE_WORDS: Final = {"archive": "archive", "prearchive": "prearchive", "conflict": "held", "refused": "refused"}
_STYLES: Final = {"archive": "green", "prearchive": "green", "conflict": "yellow", "refused": "red"}

Session = Mapping[str, Any]


def pick_sessions(sessions: Sequence[Session], limit: int = MAX_SHOWN) -> list[Session]:
    """At most `limit` sessions in their order; those that need a person come before those that are well."""
    if len(sessions) <= limit:
        return list(sessions)
    urgent = [n for n, session in enumerate(sessions) if session["state"] in {"conflict", "refused"}]
    well = [n for n, session in enumerate(sessions) if session["state"] not in {"conflict", "refused"}]
    return [sessions[n] for n in sorted((urgent + well)[:limit])]


def sessions_table(sessions: Sequence[Session], width: int, *, planned: bool = False) -> Table:
    """The table for a terminal of `width` columns; with `planned` nothing was stored, and it says so.

    Where it is too narrow, the note goes first, which is told below the table as well; then project, subject and
    session share one column. Names that are still too long fold where they have a joint.
    """
    head = ["Project", "Subject", "Session", "Would be" if planned else "Where", "Scans", "Files", "Size"]
    rows = [_cells(session) for session in sessions]
    for separator in (", ", ",\n"):
        notes = [separator.join(_notes(session)) for session in sessions]
        if (
            any(notes)
            and _needed_width([*head, "Note"], [[*row, note_text] for row, note_text in zip(rows, notes, strict=True)])
            <= width
        ):
            return _table(
                [*head, "Note"],
                [[*row, note_text] for row, note_text in zip(rows, notes, strict=True)],
                sessions,
                width,
            )
    if _needed_width(head, rows) <= width:
        return _table(head, rows, sessions, width)
    head = ["Project/Subject/Session", *head[3:]]
    names_width = width - _needed_width(head[1:], [row[3:] for row in rows]) - _GAP
    return _table(head, [[_path(row[:3], names_width), *row[3:]] for row in rows], sessions, width)


def _cells(session: Session) -> list[str]:
    names = [printable(session.get(key) or "-") for key in ("project", "subject", "label")]
    state = str(session["state"])
    return [
        *names,
        STATE_WORDS.get(state, state),
        f"{len(session['scans']):,}",
        f"{session['files']:,}",
        format_size(session["bytes"]),
    ]


def _needed_width(head: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    """Columns that a table takes in which nothing folds."""
    widths = [max(map(_width, column)) for column in zip(head, *rows, strict=True)]
    return sum(widths) + _GAP * (len(widths) - 1)


def _width(cell: str) -> int:
    from rich.cells import cell_len

    return max(map(cell_len, cell.split("\n")))


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], sessions: Sequence[Session], width: int) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in head:
        number = name in {"Scans", "Files", "Size"}
        table.add_column(name, justify="right" if number else "left", no_wrap=number, overflow="fold")
    spare_width = width - _needed_width(head, rows)
    names = len(head) - 5 - ("Note" in head)
    names_width = max(map(_width, (row[names] for row in rows))) + max(spare_width, 0)
    for session, row in zip(sessions, rows, strict=True):
        cells = [Text(cell, style="dim" if name == "Note" else "") for name, cell in zip(head, row, strict=True)]
        if not session.get("label") and session.get("study_uid"):
            cells[names] = Text(fold_text(printable(session["study_uid"]), names_width))
        cells[names + 1].stylize(_STYLES.get(str(session["state"]), ""))
        table.add_row(*cells)
    return table


def _path(names: Sequence[str], width: int) -> str:
    """Project, subject and session in one cell, the session on a line of its own where all three don't fit one."""
    path = "/".join(names)
    return (
        path
        if len(path) <= width
        else fold_text("/".join(names[:-1]) + "/", width) + "\n" + fold_text(names[-1], width)
    )


def fold_text(text: str, width: int) -> str:
    """`text` in lines of at most `width`, broken behind `_`, `-`, `.` or `/` where there is one in the second half."""
    width = max(width, 8)
    lines = []
    while len(text) > width:
        mark_position = max(text.rfind(mark, width // 2, width) for mark in "_-./")
        split_at = mark_position + 1 if mark_position >= 0 else width
        lines.append(text[:split_at])
        text = text[split_at:]
    return "\n".join([*lines, text])


def session_note(session: Session) -> str:
    """What the table says of a session in a word or two: its code, and how many warnings it has."""
    return ", ".join(_notes(session))


def _notes(session: Session) -> list[str]:
    words = [printable(session["code"])] if session.get("code") and session["state"] in {"conflict", "refused"} else []
    if warnings := session.get("warnings"):
        words.append(format_count(len(warnings), "warning"))
    return words


def session_line(session: Session, *, planned: bool = False) -> str:
    """One session in one line: `archive: P/S/L, 4 scans, 812 files, 221 MB, archive/P/L`."""
    names = "/".join(printable(session.get(key) or "-") for key in ("project", "subject", "label"))
    if not session.get("label") and session.get("study_uid"):
        names = f"study {printable(session['study_uid'])}"
    state_words = STATE_WORDS.get(str(session["state"]), str(session["state"]))
    facts = [
        names,
        format_count(len(session["scans"]), "scan"),
        format_count(session["files"], "file"),
        format_size(session["bytes"]),
    ]
    if session.get("path"):
        facts.append(printable(session["path"]))
    if extra := session_note(session):
        facts.append(f"({extra})")
    return f"{'would be ' if planned else ''}{state_words}: {', '.join(facts)}"


def sessions_totals(sessions: Sequence[Session]) -> str:
    """All sessions in one line: `300 sessions, 1,200 scans, 40,000 files, 12 GB`."""
    return ", ".join(
        [
            format_count(len(sessions), "session"),
            format_count(sum(len(session["scans"]) for session in sessions), "scan"),
            format_count(sum(session["files"] for session in sessions), "file"),
            format_size(sum(session["bytes"] for session in sessions)),
        ]
    )

"""The sessions of an import: a table on a terminal, a line each in a pipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from scandock.cli.plain import plain, plural, size

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

SHOWN: Final = 40
"""Sessions that the table shows; beyond that it says how many more there are."""
_WIDE: Final = 100
_NARROW: Final = 76
_COUNTS: Final = 36
"""Columns that the other cells of a narrow table take."""

WHERE: Final = {"archive": "archive", "prearchive": "prearchive", "conflict": "held", "refused": "refused"}
_STYLES: Final = {"archive": "green", "prearchive": "green", "conflict": "yellow", "refused": "red"}

Session = Mapping[str, Any]


def pick(sessions: Sequence[Session], shown: int = SHOWN) -> list[Session]:
    """At most `shown` sessions in their order; those that need a person come before those that are well."""
    if len(sessions) <= shown:
        return list(sessions)
    urgent = [n for n, session in enumerate(sessions) if session["state"] in {"conflict", "refused"}]
    well = [n for n, session in enumerate(sessions) if session["state"] not in {"conflict", "refused"}]
    return [sessions[n] for n in sorted((urgent + well)[:shown])]


def sessions_table(sessions: Sequence[Session], width: int, *, planned: bool = False) -> Table:
    """The table for a terminal of `width` columns; with `planned` nothing was stored, and it says so.

    Wide ones have a column for the note, narrow ones put project, subject and session in one column. Long names fold.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    narrow, wide = width < _NARROW, width >= _WIDE
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("Project/Subject/Session",) if narrow else ("Project", "Subject", "Session"):
        table.add_column(name, overflow="fold", min_width=min(8, len(name)))
    table.add_column("Would be" if planned else "Where", no_wrap=True)
    for name in ("Scans", "Files", "Size"):
        table.add_column(name, justify="right", no_wrap=True)
    if wide:
        table.add_column("Note", overflow="fold", ratio=1)
    for session in sessions:
        names = [plain(session.get(key) or "-") for key in ("project", "subject", "label")]
        state = str(session["state"])
        cells = [_path(names, width - _COUNTS)] if narrow else [Text(name) for name in names]
        cells.append(Text(WHERE.get(state, state), style=_STYLES.get(state, "")))
        cells += [Text(f"{len(session['scans']):,}"), Text(f"{session['files']:,}"), Text(size(session["bytes"]))]
        if wide:
            cells.append(Text(note(session), style="dim"))
        table.add_row(*cells)
    return table


def _path(names: Sequence[str], width: int) -> Text:
    """Project, subject and session in one cell, the session on a line of its own where all three don't fit one."""
    from rich.text import Text

    whole = "/".join(names)
    return Text(whole if len(whole) <= width else "/".join(names[:-1]) + "/\n" + names[-1])


def note(session: Session) -> str:
    """What the table says of a session in a word or two: its code, and how many warnings it has."""
    words = [plain(session["code"])] if session.get("code") and session["state"] in {"conflict", "refused"} else []
    if warnings := session.get("warnings"):
        words.append(plural(len(warnings), "warning"))
    return ", ".join(words)


def session_line(session: Session, *, planned: bool = False) -> str:
    """One session in one line: `archive: P/S/L, 4 scans, 812 files, 221 MB, archive/P/L`."""
    names = "/".join(plain(session.get(key) or "-") for key in ("project", "subject", "label"))
    where = WHERE.get(str(session["state"]), str(session["state"]))
    facts = [names, plural(len(session["scans"]), "scan"), plural(session["files"], "file"), size(session["bytes"])]
    if session.get("path"):
        facts.append(plain(session["path"]))
    if extra := note(session):
        facts.append(f"({extra})")
    return f"{'would be ' if planned else ''}{where}: {', '.join(facts)}"


def totals(sessions: Sequence[Session]) -> str:
    """All sessions in one line: `300 sessions, 1,200 scans, 40,000 files, 12 GB`."""
    return ", ".join(
        [
            plural(len(sessions), "session"),
            plural(sum(len(session["scans"]) for session in sessions), "scan"),
            plural(sum(session["files"] for session in sessions), "file"),
            size(sum(session["bytes"] for session in sessions)),
        ]
    )

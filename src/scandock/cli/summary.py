"""What a command says at its end: the sessions, the sums, what wants attention, and where to look further."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TextIO

from scandock.cli.consoles import is_terminal, make_console, print_line, tolerate_closed_pipe
from scandock.cli.sessions_table import MAX_SHOWN, pick_sessions, session_line, sessions_table, sessions_totals
from scandock.cli.text_format import format_count, format_counts, format_duration, printable
from scandock.model.dataclass import dataclass
from scandock.model.sizes import format_size
from scandock.model.verdicts import Verdict
from scandock.rules.upload_summary import summarize_kept_files

if TYPE_CHECKING:
    from scandock.model.import_report import ReportJson

NOTICES: Final = 12
"""Warnings and reasons that are shown in full; of the rest the number is said."""
ALIKE: Final = 4
"""Those of one code that are shown."""
_STYLES: Final = {"placed": "green", "held": "yellow", "partly": "yellow", "refused": "red", "failed": "red"}
_STATES: Final = {"partly": "partly placed"}
_NOT_STORED: Final = frozenset({"refused", "failed", "cancelled"})
_NEEDS_REVIEW: Final = frozenset({"held", "partly"})
_ORDER: Final = {"Failed": 0, "Cancelled": 1, "Partly": 2, "Refused": 3, "Held": 4, "Warning": 5}
_PLACES: Final = 3
"""Folders that are named where sessions stand in several."""
_LOST: Final = (Verdict.IGNORED, Verdict.FILTERED, Verdict.UNPARSEABLE, Verdict.CONFLICT, Verdict.REFUSED)


@dataclass(frozen=True, slots=True)
class SummaryContext:
    """What the command is about."""

    data: str | None
    """DATA; None where nothing is stored, or a server stores it."""
    receipt: str | None = None
    server: str | None = None
    """Address of the server whose DATA it is, where it is not ours."""
    store: str | None = None
    """The bucket where the files are; None where they are in DATA."""

    @property
    def planned(self) -> bool:
        """True for an inspection: sessions are told as they would be."""
        return self.data is None and self.server is None


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that a person should read."""

    kind: str
    who: str
    code: str
    message: str
    whole: bool = False
    """Of an archive of which nothing was taken."""


def headline(report: ReportJson, context: SummaryContext) -> str:
    """One archive in one line: `exam.zip placed: 2 sessions, 340 files stored, 221 MB received in 3.2 s`."""
    state, seconds = str(report["state"]), float(report["seconds"].get("total", 0.0))
    name = printable(report["archive"])
    if state in {"refused", "failed", "cancelled"}:
        return f"{name} {state}: {_without_name(report, printable(report['message']))}"
    count, places = summarize_kept_files(report["entries"], (str(session["state"]) for session in report["sessions"]))
    return (
        f"{name} {_state_words(state, context)}: {format_count(len(report['sessions']), 'session')}, "
        f"{format_count(count, 'file')}{'' if context.planned else f' {places}'}, "
        f"{format_size(report['bytes'].get('received') or 0)} in {format_duration(seconds)}"
    )


def print_summary(reports: Sequence[ReportJson], context: SummaryContext, stream: TextIO) -> None:
    """Print the end of a command on `stream`: for a person on a terminal, as plain lines elsewhere."""
    sessions = [session for report in reports for session in report["sessions"]]
    if is_terminal(stream):
        with tolerate_closed_pipe(stream):
            _print_on_terminal(reports, sessions, context, stream)
        return
    with tolerate_closed_pipe(stream):
        for report in reports:
            print_line(headline(report, context), stream)
            for session in report["sessions"]:
                print_line(session_line(session, planned=context.planned), stream)
        if any(_count_entries(reports).values()):
            print_line(f"files: {format_counts(_count_entries(reports))}", stream)
        for notice in collect_notices(reports):
            print_line(f"{notice.kind.lower()}: {_notice_line(notice)}", stream)
        for name, text in next_steps(reports, context):
            print_line(f"{name}: {text}", stream)


def collect_notices(reports: Sequence[ReportJson], *, has_headline: bool = True) -> list[Notice]:
    """Everything that wants attention, the most pressing first: refused and held sessions, then warnings.

    The same sentence about several sessions is told once, and what is said of each session is not said of its archive
    again. `has_headline`: each archive's headline is printed too, and says why nothing of it was taken.
    """
    notices: list[Notice] = []
    for report in reports:
        archive = os.path.basename(str(report["archive"]).rstrip("/")) if len(reports) > 1 else ""
        archive_text = _archive_message(report)
        state = str(report["state"])
        is_missing_in_headline = state in _NEEDS_REVIEW or (state in _NOT_STORED and not has_headline)
        if archive_text and is_missing_in_headline:
            notices.append(
                Notice(state.capitalize(), archive, _get_text(report, "code"), archive_text, whole=state in _NOT_STORED)
            )
        for session in report["sessions"]:
            session_name = "/".join(str(session[key]) for key in ("project", "label") if session.get(key))
            if (
                session["state"] in {"conflict", "refused"}
                and _without_name(report, _sentence(session)) != archive_text
            ):
                kind = "Held" if session["state"] == "conflict" else "Refused"
                notices.append(Notice(kind, session_name or archive, _get_text(session, "code"), _sentence(session)))
            notices += [
                Notice("Warning", session_name, _get_text(warning, "code"), _sentence(warning))
                for warning in session["warnings"]
            ]
        notices += [
            Notice("Warning", archive, _get_text(warning, "code"), _sentence(warning)) for warning in report["warnings"]
        ]
    unique: dict[tuple[str, str, str, str], Notice] = {}
    for notice in notices:
        unique.setdefault((notice.kind, notice.code, notice.message, notice.who if notice.whole else ""), notice)
    return sorted(unique.values(), key=lambda notice: _ORDER.get(notice.kind, len(_ORDER)))


def _without_name(report: ReportJson, message: str) -> str:
    """`message` without the archive's own name at its beginning, behind which it will stand."""
    name = os.path.basename(str(report["archive"]).rstrip("/"))
    if message.startswith(f"'{name}' "):
        return f"It {message[len(name) + 3 :]}"
    return message.removeprefix(f"'{name}': ")


def _archive_message(report: ReportJson) -> str:
    """What is said of an archive beyond what is said of each of its sessions that are held."""
    text = _without_name(report, _sentence(report))
    for session in report["sessions"]:
        if session["state"] == "conflict":
            text = text.removesuffix(_sentence(session)).rstrip()
    held_count = sum(session["state"] == "conflict" for session in report["sessions"])
    return text if report["state"] != "held" or not held_count else ""


def choose_notices(candidates: Sequence[Notice]) -> tuple[list[Notice], Counter[str]]:
    """The notices to show, and how many of each code are left out: a few of each kind rather than many of one."""
    counts: Counter[tuple[str, str]] = Counter()
    selection: list[Notice] = []
    hidden_counts: Counter[str] = Counter()
    for notice in candidates:
        if (
            notice.whole and notice.kind != "Cancelled" and len(selection) < MAX_SHOWN
        ):  # archives are few, and nothing else names this one
            selection.append(notice)
            continue
        counts[notice.kind, notice.code] += 1
        if counts[notice.kind, notice.code] <= ALIKE and len(selection) < NOTICES:
            selection.append(notice)
        else:
            hidden_counts[notice.code] += 1
    return selection, hidden_counts


def next_steps(reports: Sequence[ReportJson], context: SummaryContext) -> Iterator[tuple[str, str]]:
    """Where things are and how to see more: (name, text)."""
    placed_paths = [s["path"] for report in reports for s in report["sessions"] if s.get("path")]
    if context.data is not None and placed_paths:
        data = os.path.abspath(context.data)
        yield "Data", data
        folders = _folders(placed_paths)
        if context.store is not None:
            yield "Store", context.store
        elif folders:
            name = "Session" if len(placed_paths) == 1 else "Sessions"
            yield name, ", ".join(os.path.join(data, folder) for folder in folders)
    if context.server is not None:
        yield "Server", context.server
        for report in reports:
            if report["upload"] is not None:
                from scandock.web import urls

                yield "Import", context.server + urls.api_import(report["upload"])
    if context.receipt is not None:
        yield "Receipt", os.path.abspath(context.receipt)
    elif any(_count_entries(reports).get(verdict) for verdict in _LOST):
        yield "Look further", "the same command with --receipt FILE writes what became of each file, and why"
    if context.data is not None and placed_paths:
        import shlex

        yield "Check", f"scandock check --data {shlex.quote(context.data)}"


def _folders(placed_paths: Sequence[str]) -> list[str]:
    """The folders under DATA that hold all that was placed; none where they are too many to name."""
    if len(placed_paths) == 1:
        return list(placed_paths)
    places: dict[str, list[str]] = {}
    for path in placed_paths:
        places.setdefault(path.partition("/")[0], []).append(path)
    if (
        len(places) > 1 or os.path.commonpath(placed_paths) in places
    ):  # of several projects, or in archive and prearchive
        places = {}
        for path in placed_paths:
            places.setdefault("/".join(path.split("/")[:2]), []).append(path)
    folders = [os.path.commonpath([os.path.dirname(path) for path in paths]) for paths in places.values()]
    return folders if len(folders) <= _PLACES else []


def _print_on_terminal(
    reports: Sequence[ReportJson], sessions: Sequence[Mapping[str, Any]], context: SummaryContext, stream: TextIO
) -> None:
    from rich.text import Text

    terminal = make_console(stream)
    if len(reports) == 1:
        state = str(reports[0]["state"])
        heading = Text(headline(reports[0], context))
        start = len(printable(reports[0]["archive"])) + 1
        heading.stylize(f"bold {_STYLES.get(state, '')}".strip(), start, heading.plain.index(":", start))
        terminal.print(heading)
    if sessions:
        table_rows = pick_sessions(sessions)
        terminal.print()
        terminal.print(sessions_table(table_rows, terminal.width, planned=context.planned))
        if len(table_rows) < len(sessions):
            more_line = f"... and {len(sessions) - len(table_rows):,} more; --json lists them all"
            terminal.print(Text(more_line, style="dim"))
        if len(sessions) > 1:
            terminal.print(Text(sessions_totals(sessions), style="bold"))
    if any(_count_entries(reports).values()):
        terminal.print()
        terminal.print(Text(f"Files: {format_counts(_count_entries(reports))}"))
    shown_notices, hidden_counts = choose_notices(collect_notices(reports, has_headline=len(reports) == 1))
    for notice in shown_notices:
        style = "yellow" if notice.kind in {"Held", "Warning"} else "red"
        terminal.print(Text.assemble((notice.kind, style), ": ", _notice_line(notice)))
    if hidden_counts:
        codes = ", ".join(f"{count:,} {printable(code)}" for code, count in hidden_counts.most_common())
        terminal.print(Text(f"... and {hidden_counts.total():,} more ({codes}); --json lists them all", style="dim"))
    rows = list(next_steps(reports, context))
    if rows:
        terminal.print()
    for name, text in rows:
        # paths and commands are copied from the terminal: no line breaks of ours in them
        terminal.print(Text.assemble((f"{name}: ", "dim"), printable(text)), soft_wrap=name != "Look further")


def _count_entries(reports: Sequence[ReportJson]) -> dict[str, int]:
    """Sums by verdict over all archives, in the order of the verdicts."""
    return {verdict.value: sum(report["entries"].get(verdict.value, 0) for report in reports) for verdict in Verdict}


def _notice_line(notice: Notice) -> str:
    prefix = f"{printable(notice.who)}: " if notice.who else ""
    code = f" [{printable(notice.code)}]" if notice.code else ""
    return f"{prefix}{printable(notice.message)}{code}"


def _state_words(state: str, context: SummaryContext) -> str:
    words = _STATES.get(state, state)
    return f"would be {words}" if context.planned else words


def _get_text(part: Mapping[str, Any], key: str) -> str:
    return str(part.get(key) or "")


def _sentence(part: Mapping[str, Any]) -> str:
    """Message and remedy; the remedy stands in a key of its own, or at the message's end already."""
    message, remedy = _get_text(part, "message"), _get_text(part, "remedy")
    return message if not remedy or remedy in message else f"{message} {remedy}"

"""`python -m tests.attack.run [--only head,bodies] [--seconds 8] [--long]`: attack a server on the loopback.

Each attack goes on for so many seconds, while another client works from another address. Printed are how the attack's
requests were answered, what memory the server had at most above what it has when idle, and how long the other client
waited for answers. The run fails where the server died or told of a fault, where the other client was not served, and
where memory or its longest wait is above a generous bound. Times are those of the machine as it is: attackers, server
and the other client share its cores.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.attack import accounts, bodies, heads, reading, texts, use
from tests.attack.connections import Answers, Deadline
from tests.attack.measuring import Memory, Waits, memory_of, other_client, peak_memory
from tests.attack.other_client import KINDS
from tests.attack.site import AttackedSite

MB = 1_000_000
RESULTS = (
    "| attack | answers | memory above idle: web, all (MB) | other client waited: median, 95 %, most (s) | wrong |"
)


@dataclass(frozen=True, kw_only=True)
class Attack:
    """One attack, and what it may cost."""

    section: str
    run: Callable[[AttackedSite, Deadline], Answers]
    name: str
    least_seconds: float = 0.0
    """How long it goes on at least: what it does takes so long."""
    web_mb: int = 300
    """Memory of the web process above idle."""
    worst_seconds: float = 5.0
    """How long the other client waits at most."""
    kinds: tuple[str, ...] = KINDS
    """What the other client asks meanwhile."""
    bad: tuple[str, ...] = ("500",)
    """Answers that fail the run."""
    good: tuple[str, ...] | None = None
    """For use that is no attack: the only answers that there may be."""

    def wrong(self, answers: Answers) -> list[str]:
        """Answers that should not be."""
        if self.good is not None:
            return [f"{many} answers {one}" for one, many in answers.items() if one not in self.good]
        return [f"{many} answers {one}" for one, many in answers.items() if one in self.bad]


@dataclass(frozen=True, kw_only=True)
class Result:
    """How an attack went."""

    attack: Attack
    answers: Answers
    peak: Memory
    waits: Waits
    wrong: list[str] = field(default_factory=list)

    def row(self) -> str:
        answers = ", ".join(f"{many} x {one}" for one, many in sorted(self.answers.items()))
        memory = f"{self.peak.web / MB:.0f}, {self.peak.all / MB:.0f}"
        waited = f"{self.waits.median:.2f}, {self.waits.high:.2f}, {self.waits.worst:.2f}"
        name = f"{self.attack.section}: {self.attack.name}"
        return f"| {name} | {answers} | {memory} | {waited} | {'; '.join(self.wrong)} |"


def _attacks(section: str, *runs: tuple[str, Callable[[AttackedSite, Deadline], Answers]], **more: Any) -> list[Attack]:
    return [Attack(section=section, name=name, run=run, **more) for name, run in runs]


SLOW: dict[str, Any] = {"least_seconds": 40.0, "bad": ("500", "open")}
"""Of requests that do not come to their end: the server lets go of them after half a minute."""
ATTACKS = (
    *_attacks(
        "head",
        ("a header of 134 MB", heads.huge_header),
        ("a URL of 63 MB", heads.long_url),
        ("10,000 headers", heads.many_headers),
        ("headers that never end", heads.endless_headers),
        ("600 idle connections", heads.idle_connections),
        ("600 half requests of a client behind a proxy", heads.waiting_behind_proxy),
        ("chunk extension of 64 MB", heads.chunk_extensions),
        ("trailer of 64 MB", heads.trailers),
        ("5,000 pipelined requests", heads.pipelined),
    ),
    *_attacks("head", ("headers a byte a second, 600 connections", heads.dripped_headers), **SLOW),
    *_attacks(
        "bodies",
        ("315 MB to the login", bodies.huge_login),
        ("315 MB in chunks to the login", bodies.huge_chunked_login),
        ("63 MB to other logins", bodies.huge_forms),
        ("63 MB to routes for accounts", bodies.huge_bodies_of_routes),
        ("forms of 100,000 fields", bodies.many_fields),
        ("forms of 100,000 parts", bodies.many_parts),
        ("10,000 query fields, filters, values", bodies.many_values),
        ("searches of 10,000 columns or levels", bodies.many_criteria),
        ("JSON of 30,000 levels", bodies.deep_json),
    ),
    *_attacks(
        "bodies",
        ("300 half-sent logins", bodies.half_sent),
        ("a chunk of a byte a second, 200 connections", bodies.dribbled),
        **SLOW,
    ),
    *_attacks("bodies", ("mappings of 1,000,000 rows", bodies.many_rows), bad=("500", "204")),
    *_attacks(
        "patterns",
        ("60,000 [ as columns", texts.brackets_in_columns),
        ("60,000 characters in a search's fields", texts.long_search_fields),
        ("15,000 of each special character in queries", texts.every_character_in_queries),
        ("50,000 characters as names and headers", texts.long_names),
    ),
    *_attacks(
        "unread",
        ("6 frames of 10,000 x 10,000, not read", reading.unread_frames),
        ("100 zips and files, not read", reading.unread_files),
        least_seconds=30,
    ),
    *_attacks(
        "passwords",
        ("300 wrong logins at once", accounts.wrong_logins),
        ("50 wrong logins at once, one address", accounts.wrong_logins_of_one),
        kinds=(*KINDS, "login"),
    ),
    *_attacks(
        "names",
        ("a zip of one session 5,000 times, 8 at once", reading.one_session_many_times),
        ("a zip of one scan 5,000 times, 8 at once", reading.one_scan_many_times),
        ("5,000 different names", reading.many_names),
    ),
    *_attacks(
        "space",
        ("uploads that reserve and send nothing", accounts.reserved_space),
        bad=("500", "alice's upload 507"),
    ),
    *_attacks("decoders", ("8 pictures of a huge image at once", reading.huge_pictures)),
    *_attacks(
        "webhooks", ("20 hooks that drip", accounts.dripping_hooks), bad=("500", "alice's hook not called")
    ),
    *_attacks(
        "use",
        ("50 browsers behind one address", use.browsers_behind_one_address),
        ("a mapping of 16 MB", use.large_mapping),
        ("an upload at 64 kbit/s", use.slow_upload),
        ("a download that is paused", use.paused_download),
        ("what XNAT's clients send", use.clients_of_xnat),
        good=("200", "201", "202", "204"),
    ),
    *_attacks(
        "bounds",
        ("1,000 logins", accounts.many_logins),
        ("600 projects", accounts.many_projects),
        least_seconds=60,
        bad=("500", accounts.TOO_MANY_LOGINS, accounts.TOO_MANY_PROJECTS),
    ),
)  # fmt: skip
SECTIONS = tuple(dict.fromkeys(one.section for one in ATTACKS))
KEPT_MB = 50
"""Memory above idle with which no further attack is begun: the next would be blamed for it."""
LONG_SECONDS = 310.0
"""How long a download is paused with `--long`."""


def main() -> int:
    arguments = _parse()
    print(f"{RESULTS}\n{'|---' * RESULTS.count(' | ')}|---|", flush=True)
    with tempfile.TemporaryDirectory(prefix="scandock-attack-") as folder:
        site = AttackedSite(Path(folder))
        wrong = 0
        for section in arguments.only:
            for result in attack_section(site, section, arguments.seconds, long=arguments.long):
                print(result.row(), flush=True)
                wrong += bool(result.wrong)
    print(f"\n{wrong or 'No'} attack{'' if wrong == 1 else 's'} did harm.")
    return 1 if wrong else 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=_sections, default=SECTIONS, help=f"of {','.join(SECTIONS)}")
    parser.add_argument("--seconds", type=float, default=8, help="how long each attack goes on")
    parser.add_argument("--long", action="store_true", help="pause the download for five minutes")
    return parser.parse_args()


def _sections(text: str) -> list[str]:
    named = text.split(",")
    if unknown := set(named) - set(SECTIONS):
        raise argparse.ArgumentTypeError(f"no section {', '.join(sorted(unknown))}: there are {', '.join(SECTIONS)}")
    return named


def attack_section(site: AttackedSite, section: str, seconds: float, *, long: bool = False) -> Iterator[Result]:
    """Run the attacks of a section, one after another, each against a server that has no more memory than when idle."""
    waiting = [one for one in ATTACKS if one.section == section]
    while waiting:
        with site.running():
            with other_client(site, KINDS):  # what starts with the first request: decoders, an import
                time.sleep(1.0)
            idle = memory_of(site)
            while waiting and memory_of(site).web < idle.web + KEPT_MB * MB:
                one = waiting.pop(0)
                paused = long and one.run is use.paused_download
                lasts = LONG_SECONDS if paused else max(seconds, one.least_seconds)
                yield attack(site, one, lasts, idle)


def attack(site: AttackedSite, one: Attack, seconds: float, idle: Memory) -> Result:
    """Run one attack, and judge what it did."""
    web, faults = site.web_pid(), len(site.faults())
    answers: Answers = Answers()
    wrong = []
    with peak_memory(site) as peak:
        try:
            with other_client(site, one.kinds) as waits:
                answers = one.run(site, Deadline(seconds))
        except Exception as error:  # noqa: BLE001  told with the attack that met it
            waits = Waits()
            wrong.append(f"the attack failed: {error!r}"[:300])
    above = Memory(max(0, peak.web - idle.web), max(0, peak.all - idle.all))
    wrong += one.wrong(answers)
    if site.web_pid() != web:
        wrong.append("the web process ended")
    wrong += sorted({_brief(line) for line in site.faults()[faults:]})
    if waits.failed:
        wrong.append(f"{len(waits.failed)} requests of the other client failed: {waits.failed[0]}")
    if waits.worst > one.worst_seconds:
        wrong.append(f"the other client waited {waits.worst:.1f} s")
    if above.web > one.web_mb * MB:
        wrong.append(f"{above.web / MB:.0f} MB in the web process")
    return Result(attack=one, answers=answers, peak=above, waits=waits, wrong=wrong)


def _brief(line: str) -> str:
    """A line of the log without what is another in each."""
    return "log: " + line[:160].replace("|", "/")


if __name__ == "__main__":
    sys.exit(main())

"""Measures how long a page of a list takes over HTTP, of a catalog with 10,000 sessions; writes docs/performance.md.

    python -m bench.listings [--sessions 10000] [--rounds 20] [--only dicomweb] [--databases sqlite,postgresql]

The server runs in this process, on SQLite in a temporary folder, and for DICOMweb on a PostgreSQL of its own as well.
Who asks is an administrator, and a collaborator of one project. Each list is asked for its first page and the following
ones, 50 rows each; those of XNAT's dialect whole, as its clients ask for them, with 20 scans a session.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx

from bench import report
from scandock.catalog.engine import open_catalog
from scandock.services.settings import load_settings
from scandock.web import urls
from tests import postgres
from tests.integration.many_rows import seed, seed_scans, seed_studies
from tests.integration.web import Web, serve_in_process

FULL = 10_000
PROJECT = "Many"
LISTS = {
    "sessions": {},
    "sessions, the newest first": {"sort": "-modified"},
    "sessions by size": {"sort": "-bytes"},
    "sessions of a project": {"project": PROJECT},
    "sessions of a project, received last": {"project": PROJECT, "sort": "-received"},
    "sessions of a project, by modality and date": {
        "project": PROJECT,
        "modality": "MR",
        "date_from": "2020-01-01",
        "date_to": "2020-12-31",
        "sort": "-date",
    },
    "sessions, a part of the label": {"search": "ess_09"},
    "subjects": {},
    "prearchive": {},
}
DIALECT = {
    "projects": "/data/projects?format=json&columns=ID,URI,name",
    "experiments of a project": f"/data/projects/{PROJECT}/experiments?format=json&columns=ID,URI,label,xsiType",
    "all experiments, as CSV": "/data/experiments?format=csv&columns=ID,xsiType,label,project",
    "subjects of a project": f"/data/projects/{PROJECT}/subjects?format=json&columns=ID,URI,label",
    "one experiment by its id": "/data/experiments?ID=XNAT_E05000"
    "&columns=ID,project,xnat:subjectAssessorData/subject_id",
    "100 experiments from the middle": "/data/experiments?limit=100&offset=5000",
    "scans of an experiment": "/data/experiments/XNAT_E05000/scans?format=json&columns=ID,URI,type,xsiType",
    "an experiment": "/data/experiments/XNAT_E05000?format=json",
    "scans of a subject's experiments": f"/data/experiments?project={PROJECT}&subject_label=Sub3"
    "&columns=ID,label,xnat:imagesessiondata/scans/scan/id",
    "the prearchive": "/data/prearchive/projects/Waiting?format=json",
}
"""Lists of XNAT's dialect, as its clients ask for them."""
_CRITERION = (
    "<xdat:criteria><xdat:schema_field>{}</xdat:schema_field><xdat:comparison_type>{}</xdat:comparison_type>"
    "<xdat:value>{}</xdat:value></xdat:criteria>"
)
_BUNDLE = (
    '<xdat:bundle xmlns:xdat="http://nrg.wustl.edu/security"><xdat:root_element_name>{}</xdat:root_element_name>'
    '<xdat:search_where method="AND">{}</xdat:search_where></xdat:bundle>'
)
SEARCHES = {
    "all MR sessions with all fields": _BUNDLE.format("xnat:mrSessionData", ""),
    "MR sessions by a part of the label": _BUNDLE.format(
        "xnat:mrSessionData", _CRITERION.format("xnat:mrSessionData/LABEL", "LIKE", "%99")
    ),
    "MR sessions by the type of a scan": _BUNDLE.format(
        "xnat:mrSessionData", _CRITERION.format("xnat:mrSessionData/scans/scan/type", "=", "none")
    ),
    "subjects by the date of a session": _BUNDLE.format(
        "xnat:subjectData", _CRITERION.format("xnat:mrSessionData/DATE", "&gt;", "2020-01-01")
    ),
    "projects with their counts": _BUNDLE.format("xnat:projectData", ""),
}
"""The same of searches."""
SEARCHES_OF_STUDIES = {
    "all, the newest first": {},
    "from the middle": {"offset": "5000"},
    "StudyDate": {"StudyDate": "20050601-20051231"},
    "StudyTime": {"StudyTime": "1000-1059"},
    "AccessionNumber": {"AccessionNumber": "ACC5000"},
    "AccessionNumber with *": {"AccessionNumber": "*C50*"},
    "ModalitiesInStudy, one in ten": {"ModalitiesInStudy": "PT,US"},
    "ModalitiesInStudy, none": {"ModalitiesInStudy": "XA"},
    "ReferringPhysicianName": {"ReferringPhysicianName": "house7^*"},
    "PatientName": {"PatientName": "doe500*"},
    "PatientName, *x*": {"PatientName": "*e500^*"},
    "PatientName, none": {"PatientName": "*nobody*"},
    "PatientID": {"PatientID": "PAT500"},
    "PatientID, *x*": {"PatientID": "*T50*"},
    "StudyInstanceUID": {"StudyInstanceUID": "1.2.5000"},
    "StudyID": {"StudyID": "5000"},
    "StudyDescription": {"StudyDescription": "*y 7"},
    "PatientBirthDate": {"PatientBirthDate": "19500101-19520101"},
    "PatientSex": {"PatientSex": "O"},
    "StudyDate and PatientName, *x*": {"StudyDate": "20050601-20051231", "PatientName": "*e500^*"},
    "ReferringPhysicianName, *x*": {"ReferringPhysicianName": "*ouse7^*"},
    "ReferringPhysicianName, none": {"ReferringPhysicianName": "*nobody*"},
    "StudyDescription, none": {"StudyDescription": "*nothing*"},
    "TimezoneOffsetFromUTC, none": {"TimezoneOffsetFromUTC": "+0100"},
    "IssuerOfPatientID, none": {"IssuerOfPatientID": "Nobody"},
    "StudyDate, none": {"StudyDate": "19000101"},
    "all, the last page": {"offset": "9950"},
    "how many, limit=0": {"limit": "0"},
    "OHIF's first page": {"limit": "101", "fuzzymatching": "false", "includefield": "00081030,00080060"},
}
"""Keys by which DICOMweb searches for studies."""
DATABASES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
SCANS = 20
BEGIN, END = "<!-- listings:begin -->", "<!-- listings:end -->"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=FULL)
    parser.add_argument("--rounds", type=int, default=20, help="pages of each list")
    parser.add_argument("--only", choices=["dicomweb"], help="nothing but searches for studies")
    parser.add_argument("--databases", default="sqlite,postgresql")
    wanted = parser.parse_args()
    lines: list[str] = []
    of_studies: dict[str, dict[str, list[str]]] = {}
    for database in wanted.databases.split(","):
        with serving(database, wanted.sessions) as web:
            if wanted.only is None and database == "sqlite":
                lines += measure_lists(web, wanted.rounds)
            of_studies[database] = measure_studies(web, wanted.rounds)
    lines += table_of_studies(of_studies)
    text = "\n".join(lines)
    machine = report.machine(Path(tempfile.gettempdir()))
    text += f"\n\n{machine}; {wanted.sessions:,} sessions, {wanted.rounds} pages of each list."
    print(text)
    if wanted.sessions == FULL and wanted.only is None:
        report.write(text, BEGIN, END)


@contextmanager
def serving(database: str, sessions: int) -> Iterator[Web]:
    """A server whose catalog is full."""
    with ExitStack() as exits:
        folder = Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="scandock-listings-")))
        url = f"sqlite:///{folder}/scandock.db"
        settings = load_settings()
        if database == "postgresql":
            url = exits.enter_context(exits.enter_context(postgres.cluster()).catalog())
            settings = settings.model_copy(update={"database_url": url})
        web = exits.enter_context(serve_in_process(folder, settings))
        catalog = open_catalog(url)
        seed(catalog, sessions, name=PROJECT)
        seed_scans(catalog, SCANS)
        seed(catalog, sessions // 10, name="Waiting", place="prearchive")
        seed_studies(catalog)
        if database == "postgresql":
            with catalog.engine.connect() as connection:
                connection.exec_driver_sql("ANALYZE")  # as its own upkeep does within a minute
                connection.commit()
        catalog.dispose()
        web.account("reader", Many="collaborator", Waiting="member")
        yield web


def measure_lists(web: Web, rounds: int) -> list[str]:
    """Tables of milliseconds of the API's lists and of the dialect's."""
    lines = ["| list | administrator (ms) | collaborator (ms) |", "|---|---|---|"]
    for title, params in LISTS.items():
        cells = [
            spread(pages(web, who, title.partition(",")[0].split()[0], params, rounds)) for who in ("admin", "reader")
        ]
        lines.append(f"| {title} | {cells[0]} | {cells[1]} |")
    lines += ["", "| XNAT's dialect, whole lists | ms | kB |", "|---|---|---|"]
    lines += [f"| {title} | {whole(web, path, rounds)} |" for title, path in DIALECT.items()]
    found = "/data/search?format=csv"
    lines += [f"| search: {title} | {whole(web, found, rounds, body)} |" for title, body in SEARCHES.items()]
    return [*lines, ""]


def measure_studies(web: Web, rounds: int) -> dict[str, list[str]]:
    """Milliseconds of searches for studies: of a project, of all, and of all that a collaborator may see."""
    asked = (("admin", urls.dicomweb(PROJECT)), ("admin", urls.dicomweb()), ("reader", urls.dicomweb()))
    return {
        title: [studies(web, who, base, params, rounds) for who, base in asked]
        for title, params in SEARCHES_OF_STUDIES.items()
    }


def table_of_studies(of_studies: dict[str, dict[str, list[str]]]) -> list[str]:
    heads = [
        f"{DATABASES[database]}: {what}"
        for database in of_studies
        for what in ("of a project (ms)", "of all (ms)", "collaborator, of all (ms)")
    ]
    lines = [f"| DICOMweb, 50 studies by | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    for title in SEARCHES_OF_STUDIES:
        cells = [cell for of_database in of_studies.values() for cell in of_database[title]]
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return lines


def study_search_medians(database: str, sessions: int, rounds: int) -> dict[str, float]:
    """Milliseconds of an administrator's searches for studies at `/dicomweb`, by key."""
    with serving(database, sessions) as web:
        return {
            title: statistics.median(_search_times(web, "admin", urls.dicomweb(), params, rounds))
            for title, params in SEARCHES_OF_STUDIES.items()
        }


def whole(web: Web, path: str, rounds: int, body: str | None = None) -> str:
    """Milliseconds and size of a list of the dialect, or of what a search by a body finds."""
    taken, size = [], 0
    with web.client() as client:
        for _ in range(rounds + 1):  # the first checks the password and warms up
            began = time.perf_counter()
            answer = client.get(path) if body is None else client.post(path, content=body)
            taken.append((time.perf_counter() - began) * 1000)
            answer.raise_for_status()
            size = len(answer.content)
    return f"{spread(taken[1:])} | {size / 1000:,.0f}"


def studies(web: Web, who: str, base: str, params: dict[str, str], rounds: int) -> str:
    """Milliseconds of a search for studies."""
    return spread(_search_times(web, who, base, params, rounds))


def _search_times(web: Web, who: str, base: str, params: dict[str, str], rounds: int) -> list[float]:
    taken = []
    with web.client(who) as client:
        for _ in range(rounds + 1):  # the first checks the password and warms up
            began = time.perf_counter()
            answer = client.get(f"{base}/studies", params={"limit": "50", **params})
            taken.append((time.perf_counter() - began) * 1000)
            answer.raise_for_status()
    return taken[1:]


def pages(web: Web, who: str, kind: str, params: dict[str, str], rounds: int) -> list[float]:
    """Milliseconds of each page, the cursor followed to the list's end and begun anew."""
    taken, cursor = [], None
    with web.client(who) as client:
        ask(client, kind, params)  # the password is checked once, and what is cold gets warm
        for _ in range(rounds):
            began = time.perf_counter()
            page = ask(client, kind, params if cursor is None else {**params, "cursor": cursor})
            taken.append((time.perf_counter() - began) * 1000)
            cursor = page["next"]
    return taken


def ask(client: httpx.Client, kind: str, params: dict[str, str]) -> dict[str, str | None]:
    answer = client.get(f"/api/v1/{kind}", params=params)
    answer.raise_for_status()
    page: dict[str, str | None] = answer.json()
    assert page["items"]
    return page


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.0f} ({min(values):.0f}-{max(values):.0f})"


if __name__ == "__main__":
    main()

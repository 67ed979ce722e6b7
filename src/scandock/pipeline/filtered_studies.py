"""What import filters leave out of an upload: objects whose project had to be known first, and what is said of all."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Final

from scandock.model.entry import Content
from scandock.model.imported import ImportedSession
from scandock.model.verdicts import Verdict
from scandock.pipeline.duplicates import discard_staged
from scandock.pipeline.entry_writer import describe_rule, explain_filtered
from scandock.pipeline.job import Job, JobContext
from scandock.pipeline.ledger import Ledger
from scandock.pipeline.plan import UsableProjects, name_job
from scandock.pipeline.session_description import refused_session_reports
from scandock.pipeline.studies import collect_jobs
from scandock.pipeline.tallies import Tallies
from scandock.pipeline.verdicts import all_filtered_notice
from scandock.rules.mapping import find_row
from scandock.rules.notices import Notice, make_notice

REJECTED: Final = "script_reject"
"""What the receipt says of an object that a script rejects."""
_RULES_NAMED = 10
"""Rules whose counts a warning names; the receipt has every object with its rule."""


def filter_by_project(context: JobContext, tallies: Tallies) -> bool:
    """Leave out what the filter of each study's project leaves out; whether anything is left of the upload.

    Readers have noted which projects would leave an object out. What is left may name another project: so studies are
    named again until nothing more goes. Raises Usage as `plan` does.
    """
    ledger = context.ledger
    usable = UsableProjects(context)
    while ledger.rows("SELECT 1 FROM entry WHERE left_out_by <> '' AND content = ? LIMIT 1", (Content.DICOM,)):
        jobs = collect_jobs(ledger, tallies, {}, context.zone, context.site.placeholders)
        changed = [job.n for job in jobs if _filter_study(context, tallies, job, usable)]
        if not changed:
            break
    images = "SELECT 1 FROM entry WHERE content IN ('dicom', 'ecat') AND verdict <> ? LIMIT 1"
    return bool(ledger.rows(images, (Verdict.REFUSED,)))


def _filter_study(context: JobContext, tallies: Tallies, job: Job, usable: UsableProjects) -> bool:
    """Have the filter of its project leave out of a study what it does; whether anything."""
    ledger, study_uid = context.ledger, job.study.study_uid
    row = find_row(context.request.mapping, job.study)
    if study_uid is None or (row is not None and row.leave_out):
        return False
    project = name_job(context, job, usable).project.label
    is_changed = False
    for (left_out_by,) in ledger.rows(
        "SELECT DISTINCT left_out_by FROM entry"
        " WHERE study = ? AND content = ? AND left_out_by <> '' AND verdict <> 'refused'",
        (study_uid, Content.DICOM),
    ):
        rule = json.loads(left_out_by).get(project)
        if rule is None:
            continue
        is_changed = True
        for number, staged in ledger.rows(
            "SELECT ordinal, staged FROM entry"
            " WHERE study = ? AND content = ? AND left_out_by = ? AND verdict <> 'refused'",
            (study_uid, Content.DICOM, left_out_by),
        ):
            discard_staged(context.stage, number, staged)
        ledger.run(
            "UPDATE entry SET content = ?, verdict = ?, code = ?, message = ?, facts = ?, staged = '', job = NULL"
            " WHERE study = ? AND content = ? AND left_out_by = ? AND verdict <> 'refused'",
            (
                Content.FILTERED,
                Verdict.FILTERED,
                "filter_project",
                explain_filtered(project, rule),
                describe_rule(project, rule),
                study_uid,
                Content.DICOM,
                left_out_by,
            ),
        )
    if is_changed:
        tallies.leave_out(study_uid, project)
    return is_changed


def assign_filtered(ledger: Ledger, jobs: list[Job], uid_of: Callable[[str], str]) -> list[ImportedSession]:
    """Note what was left out of each job's study and warn of it; the reports of studies of which nothing is left.

    `uid_of` says by which UID a study is told of.

    Those have jobs of negative numbers in the ledger, so that files beside their images are not taken for another's.
    """
    rules: dict[str, Counter[str]] = {}
    for study_uid, rule, count in ledger.rows(
        "SELECT study, facts, COUNT(*) FROM entry WHERE content = ? AND verdict = ? GROUP BY study, facts",
        (Content.FILTERED, Verdict.FILTERED),
    ):
        rules.setdefault(study_uid, Counter())[rule] += count
    by_study = {job.study.study_uid: job for job in jobs}
    lost = {study_uid: -1 - at for at, study_uid in enumerate(sorted(rules.keys() - by_study.keys()))}
    for study_uid, counts in rules.items():
        job = by_study.get(study_uid)
        number = job.n if job is not None else lost[study_uid]
        ledger.run("UPDATE entry SET job = ? WHERE study = ? AND content = ?", (number, study_uid, Content.FILTERED))
        if job is not None:
            job.warnings.append(make_notice("session_filtered", count=_count_images(counts.total())))
    return refused_session_reports([*map(uid_of, lost)], all_filtered_notice())


def filtered_study_uids(ledger: Ledger) -> set[str]:
    """The studies of which import filters left something out."""
    if not ledger.has_filters:
        return set()
    return {
        study_uid
        for (study_uid,) in ledger.rows("SELECT DISTINCT study FROM entry WHERE content = ?", (Content.FILTERED,))
    }


def _count_images(count: int) -> str:
    return "1 image" if count == 1 else f"{count:,} images"


def filtered_notices(ledger: Ledger) -> list[Notice]:
    """How many objects import filters left out, by which rule, and how many scripts rejected, in words."""
    rows = ledger.rows(
        "SELECT facts, COUNT(*) AS many FROM entry WHERE verdict = ? AND content = ? GROUP BY facts"
        " ORDER BY many DESC, facts",
        (Verdict.FILTERED, Content.FILTERED),
    )
    named = [f"{count:,} by {rule}" for rule, count in rows[:_RULES_NAMED]]
    more = sum(count for _, count in rows[_RULES_NAMED:])
    rules = ", ".join([*named, *([f"{more:,} by other lines"] if more else [])])
    filtered = sum(count for _, count in rows)
    rejected = ledger.rows("SELECT COUNT(*) FROM entry WHERE verdict = ? AND code = ?", (Verdict.FILTERED, REJECTED))
    messages = []
    if filtered:
        messages.append(f"{_were_images(filtered)} left out by import filters: {rules}.")
    if rejected[0][0]:
        messages.append(f"{_were_images(rejected[0][0])} left out by scripts of the site or the project.")
    return [Notice(code="filtered", message=message, remedy="See the receipt for each.") for message in messages]


def _were_images(count: int) -> str:
    return f"{_count_images(count)} {'was' if count == 1 else 'were'}"

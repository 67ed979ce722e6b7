"""Where the session of a single object is to stand, decided before it is imported, by the rules of the import."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from sqlalchemy import select

from scandock.access import accounts
from scandock.access.authentication import make_principal
from scandock.access.principal import Door, ProjectRights, decide_access_of
from scandock.catalog.projects import unfinished_deletions
from scandock.catalog.tables import session
from scandock.catalog.trees import find_objects
from scandock.catalog.view import SqlView
from scandock.formats.dicom_header import read_header
from scandock.formats.errors import Unparseable
from scandock.model.errors import Usage
from scandock.model.tags import TAGS
from scandock.pipeline.entry_filter import EntryFilter
from scandock.pipeline.filter_setup import make_filter_setup
from scandock.pipeline.plan import read_policies
from scandock.rules.hidden_labels import hide_labels
from scandock.rules.keyed_view import KeyedView
from scandock.rules.labels import UNASSIGNED
from scandock.rules.naming import name_study
from scandock.rules.permissions import AccessDecision, Action
from scandock.rules.policy import ProjectPolicy
from scandock.rules.privacy import hide_patients
from scandock.rules.routing import Decision, route_studies
from scandock.rules.study_sides import separate_study
from scandock.services.gradual_uploads import GradualPlace, list_unfinished_uploads
from scandock.services.sample_headers import tally_studies
from scandock.services.sent_objects import SentObject
from scandock.workers.context import make_context

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection

    from scandock.access.principal import Principal
    from scandock.catalog.engine import Catalog
    from scandock.rules.catalog_view import CatalogView
    from scandock.rules.import_request import ImportRequest
    from scandock.rules.study import StudyFacts
    from scandock.services.settings import Settings
    from scandock.workers.context import WorkerContext

_UNKNOWN_SIZE: Final = 1 << 50
"""Of an object that comes without a stated length: whether it is cut is seen by its import."""


class RoutedObject(NamedTuple):
    """What is known of an object by its header."""

    study: StudyFacts
    sent: SentObject
    series_uid: str
    modality: str
    """PT or MR, which a project may have apart; empty for any other."""
    patients: frozenset[str]
    """Its PatientID, where it has one that is no placeholder."""


def open_routing(catalog: Catalog, settings: Settings, request: ImportRequest) -> WorkerContext | None:
    """What decides beside the header; None where the privacy policy can't be kept to, as the import says."""
    context = make_context(catalog, settings, request, ())
    return context if context.privacy_error is None else None


def read_object(context: WorkerContext, head: bytes, size: int | None) -> RoutedObject | None:
    """What is known of an object of `size` bytes that begins with `head`; None of what the import alone can tell.

    That is what is no object or is cut, what import filters leave out, and what has its facts behind `head`.
    """
    setup = make_filter_setup(context.request, context.filters)
    entry_filter = None
    if setup is not None:
        entry_filter = _make_filter(setup["site"], tuple(setup["projects"].items()), is_decided=setup["is_decided"])
    tags = frozenset(TAGS) | context.rules.tags | (entry_filter.tags if entry_filter is not None else frozenset())
    try:
        header = read_header(head, _UNKNOWN_SIZE if size is None else size, tags)
    except Unparseable:
        return None
    if header.is_dicomdir or not header.study_uid or not header.sop_uid:
        return None
    if entry_filter is not None:
        result = entry_filter.check(header)
        if result.code or result.left_out_by:
            return None
    studies = tally_studies([header])
    modality = studies[0].common("Modality")
    sent = SentObject(header.sop_class, header.sop_uid, header.study_uid)
    patients = frozenset(studies[0].patient_ids(context.rules.placeholders))
    side = modality if modality in {"PT", "MR"} else ""
    return RoutedObject(studies[0], sent, header.series_uid, side, patients)


def is_object_known(catalog: Catalog, sent: SentObject, open_uploads: Collection[int]) -> bool:
    """Whether a session has an object of this UID, or may get one of what has been taken of its study meanwhile.

    `open_uploads`: of single objects of this process, which knows what they have.
    """
    with catalog.read() as connection:
        if next(iter(find_objects(connection, [sent.sop_uid])), None) is not None:
            return True
        return bool(set(list_unfinished_uploads(connection, sent.study_uid)) - set(open_uploads))


@lru_cache(maxsize=8)
def _make_filter(site: str | None, projects: tuple[tuple[str, str], ...], *, is_decided: bool) -> EntryFilter:
    return EntryFilter({"site": site, "projects": dict(projects), "is_decided": is_decided})


class _Projects:
    """The projects that an account may upload to, as far as they are asked for."""

    def __init__(self, connection: Connection, context: WorkerContext, principal: Principal) -> None:
        self._connection = connection
        self._petmr = context.rules.petmr
        self._principal = principal
        self._rights = ProjectRights(connection)
        self._closed = set(connection.execute(unfinished_deletions()).scalars())

    def find(self, name: str) -> ProjectPolicy | None:
        """The policy of a project, in any case of its name."""
        rows = read_policies(self._connection, self._petmr, name).values()
        return next((policy for number, policy in rows if number not in self._closed), None)

    def is_usable(self, name: str) -> bool:
        policy = self.find(name)
        if policy is None or policy.id == UNASSIGNED:
            return False
        decision = decide_access_of(self._principal, Action.UPLOAD, policy.id, self._rights)
        return decision is AccessDecision.ALLOWED


def find_place(
    catalog: Catalog, context: WorkerContext, account_id: int, study: StudyFacts, *, is_told: bool = False
) -> GradualPlace | None:
    """Where the session of a study is to stand, by one of its objects.

    None where that is not in the prearchive, or its PET and MR are two sessions, or where what is asked for can't be:
    then the import says so. `is_told`: whether the sender is told how the object is stored. Then the import says it,
    too, where the object is not stored as it is, or its session is held.
    """
    with catalog.read() as connection:
        account = accounts.by_id(connection, account_id)
        if account is None or account.disabled:
            return None
        principal = make_principal(connection, account, Door.SYSTEM)
        projects = _Projects(connection, context, principal)
        try:
            naming = name_study(study, context.request, context.rules, projects.is_usable)
        except Usage:
            return None
        policy = projects.find(naming.project.label) or ProjectPolicy(id=naming.project.label)
        project = policy.id
        naming = replace(naming, project=replace(naming.project, label=project))
        view: CatalogView = SqlView(connection, account_id=account_id)
        rules = context.privacy.rules_of(project) if context.privacy is not None else None
        if rules is not None and context.privacy is not None:
            if context.request.prevent_anon or is_told:
                return None
            patients = study.patient_ids(context.rules.placeholders)
            naming = hide_patients(hide_labels(naming, study, rules), rules, {})
            policy = replace(policy, identified="accept")  # it is de-identified before that is asked
            view = KeyedView(
                SqlView(connection, account_id=account_id),
                context.privacy.rules_of,
                [study.key],
                lambda *_: {},
                patient_ids=patients,
            )
        if separate_study(study, policy, context.rules.map_words, view) != [study]:
            return None
        now = datetime.now(context.settings.zone)
        (decision,) = route_studies([naming], [study], context.request, {project: policy}, view, now)
        if decision.place != "prearchive" or (is_told and decision.held is not None):
            return None
        place = _make_place(connection, context.request, decision)
        if rules is not None and rules.policy.study_uid != "keep":
            return replace(place, study_uid=rules.new_uid(study.key))  # what it was is kept nowhere
        return place


def _make_place(connection: Connection, request: ImportRequest, decision: Decision) -> GradualPlace:
    """The place of a decision: that of the session that it joins, or one that is asked for, or is still to be found."""
    label, timestamp = decision.label, ""
    if decision.existing is not None:
        waiting = select(session.c.label, session.c.timestamp).where(session.c.uuid == decision.existing)
        label, timestamp = connection.execute(waiting).one()
    elif request.timestamp and decision.timestamp == request.timestamp:
        timestamp = request.timestamp
    return GradualPlace(
        project=decision.project,
        subject=decision.subject,
        label=label,
        study_uid=decision.study_uid or "",
        timestamp=timestamp,
    )

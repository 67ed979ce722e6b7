"""What the site and its projects say of names, UIDs and patients, and by which profile objects are cleaned."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import Field
from sqlalchemy import Connection

from scandock.access.principal import SYSTEM, RequestInfo
from scandock.catalog.privacy_texts import PrivacyText, find_text
from scandock.model.dataclass import dataclass
from scandock.model.json_records import JsonRecord, MaybeMoment
from scandock.rules.permissions import Action
from scandock.rules.privacy_policy import (
    Level,
    PrivacySettings,
    Residue,
    Resources,
    in_force,
    laxer_items,
    with_profile,
)
from scandock.services import rights
from scandock.services.audit import AuditAction
from scandock.services.context import ServiceContext
from scandock.services.data_catalog import has_catalog, open_data
from scandock.services.editing import check_if_match
from scandock.services.privacy_key import PrivacyKeyRecord, add_key, need_keys
from scandock.services.project_errors import PrivacyLaxer
from scandock.services.versioned_texts import (
    TextChange,
    TextOwner,
    add_version,
    check_project_known,
    find_owner,
    version_of,
)

if TYPE_CHECKING:
    from scandock.access.principal import Principal
    from scandock.services.settings import Settings

MaybeLevel = Annotated[Level | Literal[""], Field(description="Empty: as the site has it; of the site: keep")]
NAMES_OF_ITEMS: Final = {
    "names": "names",
    "study_uid": "StudyInstanceUID",
    "patient": "patient",
    "profile": "profile",
    "residue": "residue",
    "resources": "resources",
}
"""What messages call what settings say."""


@dataclass(frozen=True, kw_only=True)
class PrivacyInForce(JsonRecord):
    """What holds for imports that begin now."""

    names: Annotated[Level, Field(description="Names of files, folders and archives")]
    study_uid: Annotated[Level, Field(description="StudyInstanceUID")]
    patient: Annotated[Level, Field(description="PatientID and PatientName")]
    profile: Annotated[str, Field(description="Profile with its options; empty where there is none")]
    residue: Annotated[Residue, Field(description="Whether objects with values of the patient left are refused")]
    resources: Annotated[Resources, Field(description="What becomes of files that are no images")]
    scripts: Annotated[list[str], Field(description="Whose scripts are run, in that order: site, project")]


@dataclass(frozen=True, kw_only=True)
class Privacy(JsonRecord):
    """What the site or a project says of privacy, and what is in force by it."""

    NESTED = ("in_force",)
    project: Annotated[str | None, Field(description="Null for the site")]
    names: MaybeLevel
    study_uid: MaybeLevel
    patient: MaybeLevel
    profile: Annotated[str, Field(description="A profile with its options, as basic,modified-dates; empty for none")]
    residue: Annotated[Residue | Literal[""], Field(description="Empty: as the server's settings have it")]
    resources: Annotated[Resources | Literal[""], Field(description="Empty: dropped where there is a profile")]
    in_force: PrivacyInForce
    version: Annotated[int, Field(description="How often it was set; 0 where it never was")]
    fingerprint: Annotated[str, Field(description="SHA-256 of the settings, by which the audit names them")]
    modified: MaybeMoment
    by: Annotated[str, Field(description="Account that made this version")]

    @property
    def settings(self) -> PrivacySettings:
        """What is said itself."""
        return PrivacySettings(
            names=self.names,
            study_uid=self.study_uid,
            patient=self.patient,
            profile=self.profile,
            residue=self.residue,
            resources=self.resources,
        )


def find_privacy(connection: Connection, principal: Principal, project_name: str | None, settings: Settings) -> Privacy:
    """The privacy of a project, for those with a role in it; with None the site's, for all accounts. AccessDenied."""
    action = Action.ACCOUNT_READ if project_name is None else Action.PRIVACY_READ
    rights.check(connection, principal, action, project_name)
    return _read_privacy(connection, find_owner(connection, project_name), settings)


def set_privacy(
    context: ServiceContext, project_name: str | None, said: PrivacySettings, *, if_match: str | None = None
) -> Privacy:
    """Replace what the site or a project says, for imports that begin from now on; what is stored stays as it is.

    Where a profile is said and no level, the levels are those of `rules.privacy_policy.with_profile`. AccessDenied;
    Usage `profile_invalid`, `privacy_laxer`, and `privacy_key` where the site's key is not there.
    """
    from scandock.deidentification.profile.options import parse_profile

    action = Action.SITE_ADMIN if project_name is None else Action.SETTINGS_EDIT
    with context.catalog.read() as connection:
        rights.check(connection, context.principal, action, project_name)
    if said.profile:
        said = replace(said, profile=",".join(part.strip() for part in said.profile.split(",")))
        parse_profile(said.profile)
    said = with_profile(said)
    with context.catalog.write() as connection:
        rights.check(connection, context.principal, action, project_name)
        owner = find_owner(connection, project_name, to_change=True)
        before = _read_privacy(connection, owner, context.settings)
        check_if_match(before, if_match)
        if owner.name is not None:
            laxer = laxer_items(_read_settings(connection, None), said)
            if laxer:
                raise PrivacyLaxer(owner.name, ", ".join(NAMES_OF_ITEMS[item] for item in laxer))
        if said != PrivacySettings():
            need_keys(context.catalog, connection, context.store.path, context.settings)
        change = TextChange(kind="settings", text=said.to_document(), action=AuditAction.PRIVACY_SET)
        if before.version or said != PrivacySettings():
            add_version(context.catalog, connection, owner, change, context.principal, context.request)
        return _read_privacy(connection, owner, context.settings)


def _read_settings(connection: Connection, project_id: int | None) -> PrivacySettings:
    text = find_text(connection, "settings", project_id)
    return PrivacySettings() if text is None else PrivacySettings.from_document(text.text)


def _read_privacy(connection: Connection, owner: TextOwner, settings: Settings) -> Privacy:
    text = find_text(connection, "settings", owner.project_id)
    site = PrivacySettings() if owner.project_id is None else _read_settings(connection, None)
    owners = {"site": None} if owner.project_id is None else {"site": None, "project": owner.project_id}
    scripts = [
        name
        for name, project_id in owners.items()
        if (script := find_text(connection, "script", project_id)) is not None and script.enabled and script.text
    ]
    return _to_record(owner, text, site, scripts, settings)


def _to_record(
    owner: TextOwner, text: PrivacyText | None, site: PrivacySettings, scripts: list[str], settings: Settings
) -> Privacy:
    """`site`: what the site says, beside a project; `scripts`: whose are run."""
    said = PrivacySettings() if text is None else PrivacySettings.from_document(text.text)
    both = in_force(site, said)
    version, fingerprint, modified, by = version_of(text)
    return Privacy(
        project=owner.name,
        **asdict(said),
        in_force=PrivacyInForce(
            names=both.policy.names,
            study_uid=both.policy.study_uid,
            patient=both.policy.patient,
            profile=both.profile,
            residue="refuse" if both.residue == "refuse" else settings.deid_residue,
            resources=both.kept_resources,
            scripts=scripts,
        ),
        version=version,
        fingerprint=fingerprint,
        modified=modified,
        by=by,
    )


# -- on the server's own machine ---------------------------------------------------------------------------------------


def show_local_privacy(data: str, settings: Settings, project_name: str | None) -> Privacy:
    """What is said and in force, as the server's own machine, also where DATA is not made. Usage `project_unknown`."""
    if not has_catalog(data, settings):
        check_project_known(None, project_name)
        return _to_record(TextOwner(None, None), None, PrivacySettings(), [], settings)
    with open_data(data, settings) as (catalog, _):
        check_project_known(catalog, project_name)
        with catalog.read() as connection:
            return find_privacy(connection, SYSTEM, project_name, settings)


def set_local_privacy(
    data: str,
    settings: Settings,
    project_name: str | None,
    changes: dict[str, str],
    request: RequestInfo | None = None,
) -> Privacy:
    """Change some of what is said, as the server's own machine; a named profile sets the levels that aren't named."""
    with open_data(data, settings) as (catalog, store):
        check_project_known(catalog, project_name)
        with catalog.read() as connection:
            before = find_privacy(connection, SYSTEM, project_name, settings).settings
        if changes.get("profile"):
            before = replace(before, names="", study_uid="", patient="")
        context = ServiceContext(catalog, store, settings, SYSTEM, request)
        return set_privacy(context, project_name, replace(before, **changes))  # type: ignore[arg-type]


def add_local_key(data: str, settings: Settings, request: RequestInfo | None = None) -> list[PrivacyKeyRecord]:
    """Add a key, as the server's own machine."""
    with open_data(data, settings) as (catalog, store):
        return add_key(catalog, SYSTEM, store.path, settings, request=request)

"""What imports keep, hash and drop: read by accounts and members in plain words, set by administrators and owners."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, Final, NamedTuple

from fastapi import Request
from sqlalchemy import Connection
from starlette.responses import Response

from scandock.model.errors import ScandockError
from scandock.model.request_errors import ValueInvalid
from scandock.rules.permissions import Action
from scandock.rules.privacy_policy import LEVELS, Level, PrivacySettings
from scandock.services import rights
from scandock.services.privacy_settings import Privacy, PrivacyInForce, find_privacy, set_privacy
from scandock.web import urls
from scandock.web.pages.errors import VerbUnknown
from scandock.web.pages.rendering import page
from scandock.web.pages.routing import Form, PageContext, SentForm, apply_change
from scandock.web.pages.routing import router as pages
from scandock.web.request_context import RequestContext

router = pages()


class Item(NamedTuple):
    """Something of what an archive says, and what each level makes of it."""

    name: str
    title: str
    keep: str
    hash: str
    drop: str

    def words(self, level: str) -> str:
        """What a level makes of it, in a sentence."""
        return str(getattr(self, level))


ITEMS: Final = (
    Item(
        "names",
        "Names of files, folders and archives",
        "Receipts and messages show them as they came.",
        "Receipts and messages show a code in their place, the same for the same name.",
        "Receipts and messages number the files. No name is stored.",
    ),
    Item(
        "study_uid",
        "StudyInstanceUID",
        "It is stored as it came.",
        "Another UID is stored, made from it by the site's key. A study that is sent again is known.",
        "Another UID is stored, made from it by the site's key, and no hash of the old one.",
    ),
    Item(
        "patient",
        "PatientID and PatientName",
        "They are stored as they came.",
        "Codes are stored in their place, made from them by the site's key. A patient who comes again is known.",
        "They are stored empty. Nobody knows that two uploads are of one patient, but by the subject's label.",
    ),
)
LEVEL_WORDS: Final[dict[str, str]] = {"keep": "Keep", "hash": "Hash", "drop": "Drop"}
STATE_WORDS: Final[dict[str, str]] = {"keep": "kept", "hash": "hashed", "drop": "dropped"}
PROFILE_OPTIONS: Final = {
    "retain-uids": ("Keep UIDs", "all of them stay as they came"),
    "retain-device": ("Keep the device", "serial numbers, station names"),
    "retain-institution": ("Keep the institution", "name, address, department"),
    "retain-patient": ("Keep age, sex, weight and size of the patient", "ages above 89 become 89"),
    "retain-full-dates": ("Keep dates", "as they came"),
    "modified-dates": ("Move dates", "by whole days, the same for all of a patient"),
    "clean-descriptors": ("Keep words of descriptions that name nobody", "without this they are removed"),
    "clean-structured": ("Keep structured reports, cleaned", "without this their content is removed"),
    "clean-graphics": ("Keep graphics, cleaned", "without this they are removed"),
    "safe-private": ("Keep safe private elements", "those that the standard lists"),
}
"""Options of the profile in words, and what they do."""
_STRICT: Final = PrivacySettings(names="drop", study_uid="hash", patient="drop")
RESIDUES: Final = {"warn": "stored, with a warning", "refuse": "refused"}


@router.get("/admin/privacy")
async def site_privacy(request: Request, context: PageContext) -> Response:
    """The site's."""
    return await _privacy_page(request, context, None)


@router.get("/projects/{project}/privacy")
async def project_privacy(request: Request, context: PageContext, project: str) -> Response:
    """A project's."""
    return await _privacy_page(request, context, project)


@router.post("/admin/privacy")
async def set_site_privacy(request: Request, form: SentForm) -> Response:
    """Set the site's."""
    return await _change(request, form, None)


@router.post("/projects/{project}/privacy")
async def set_project_privacy(request: Request, form: SentForm, project: str) -> Response:
    """Set a project's."""
    return await _change(request, form, project)


async def _privacy_page(
    request: Request,
    context: RequestContext,
    project: str | None,
    problem: ScandockError | None = None,
    *,
    typed: PrivacySettings | None = None,
) -> Response:
    """`typed`: what was sent and can't be set."""
    service = context.service_context

    def ask(connection: Connection) -> tuple[Privacy, Privacy, bool]:
        if project is None:
            rights.check(connection, service.principal, Action.SITE_ADMIN, None)
        may_edit = rights.is_allowed(connection, service.principal, _edit_action(project), project)
        own = find_privacy(connection, service.principal, project, service.settings)
        site = own if project is None else find_privacy(connection, service.principal, None, service.settings)
        return own, site, may_edit

    privacy, site, may_edit = await context.read(ask)
    said = typed or privacy.settings
    return page(
        request,
        "privacy.html",
        service.principal,
        here="Administration" if project is None else "Projects",
        project=privacy.project,
        privacy=privacy,
        site=site,
        own=said,
        profile_words=partial(_describe_profile, site, is_project=project is not None),
        options=said.profile.split(",")[1:],
        may_edit=may_edit,
        items=ITEMS,
        levels=LEVELS,
        level_words=LEVEL_WORDS,
        state_words=STATE_WORDS,
        profile_options=PROFILE_OPTIONS,
        residues=RESIDUES,
        allowed=partial(_is_allowed, site if project is not None else None),
        summary=summarize(privacy.in_force),
        offers_strict=bool(privacy.in_force.scripts) and privacy.in_force.names == "keep",
        problem=problem,
        site_residue=service.settings.deid_residue,
    )


def _edit_action(project: str | None) -> Action:
    return Action.SITE_ADMIN if project is None else Action.SETTINGS_EDIT


def _describe_profile(site: Privacy, item: str, *, is_project: bool) -> str:
    """What a profile makes of an item of which nothing is said; "" where it changes nothing."""
    strict: Level = getattr(_STRICT, item)
    if is_project:
        is_stricter = LEVELS.index(strict) > LEVELS.index(getattr(site.in_force, item))
        return f"a profile that is set here makes it {STATE_WORDS[strict]}" if is_stricter else ""
    return f"kept; a profile that is set makes it {STATE_WORDS[strict]}"


def _is_allowed(site: Privacy | None, item: str, level: Level) -> bool:
    """Whether a project may choose a level where its site has another."""
    if site is None:
        return True
    return LEVELS.index(level) >= LEVELS.index(getattr(site.in_force, item))


def summarize(in_force: PrivacyInForce) -> str:
    """What is done to what is imported, in a sentence."""
    means = [f"the {whose}'s script" for whose in in_force.scripts]
    if in_force.profile:
        means.append("the de-identification profile")
    if means:
        return f"Imports change every image by {_join(means)} before it is stored."
    replaced = ["its UIDs"] if in_force.study_uid != "keep" else []
    replaced += ["its patient's name and ID"] if in_force.patient != "keep" else []
    if replaced:
        return f"Imports replace {_join(replaced)} in every image before it is stored."
    if in_force.names != "keep":
        return "Imports store images as they come, and no names of files, folders and archives."
    return "Imports store images and names as they come."


def _join(words: list[str]) -> str:
    return " and ".join(words) if len(words) < 3 else f"{', '.join(words[:-1])} and {words[-1]}"


async def _change(request: Request, form: Form, project: str | None) -> Response:
    service = form.service_context
    await form.read(lambda c: rights.check(c, service.principal, _edit_action(project), project))
    verb = form.text("do")
    said = _read_form(form)
    show = partial(_privacy_page, request, form, project, typed=said)

    def change() -> None:
        if verb == "set":
            set_privacy(service, project, said)
        elif verb == "keep":
            set_privacy(service, project, PrivacySettings())
        elif verb == "strict":
            with service.catalog.read() as connection:
                before = find_privacy(connection, service.principal, project, service.settings)
            profile = before.profile or ("" if before.in_force.scripts or before.in_force.profile else "basic")
            set_privacy(service, project, replace(before.settings, **_LEVELS, profile=profile))
        else:
            raise VerbUnknown

    return await apply_change(form, change, show, urls.of_project_or_site(project, "privacy"), "privacy-set")


_LEVELS: Final[dict[str, Any]] = {"names": _STRICT.names, "study_uid": _STRICT.study_uid, "patient": _STRICT.patient}


def _read_form(form: Form) -> PrivacySettings:
    options = [option for option in form.texts("option") if option in PROFILE_OPTIONS]
    profile = ",".join(["basic", *options]) if form.text("profile") == "basic" else ""
    values: dict[str, Any] = {name: form.text(name) for name in ("names", "study_uid", "patient")}
    values |= {name: form.text(name) for name in ("residue", "resources")}
    for name, value in values.items():
        allowed = ("", *LEVELS) if name in _LEVELS else ("", "warn", "refuse", "keep", "drop")
        if value not in allowed:
            raise ValueInvalid(f"{name} can't be {value[:20]!r}.", "Use the fields of the page.")
    return PrivacySettings(profile=profile, **values)

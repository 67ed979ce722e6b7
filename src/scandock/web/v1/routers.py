"""Every router of browsing and changing, for the application to include."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter

from scandock.rules.permissions import Action
from scandock.web.v1 import (
    accounts,
    audit_log,
    clock,
    damage,
    downloads,
    files,
    known,
    members,
    own_account,
    pictures,
    prearchive,
    projects,
    resources,
    rules,
    scans,
    sessions,
    subjects,
    subscriptions,
    trash,
    upload_mapping,
)

ROUTERS: Final[tuple[APIRouter, ...]] = (
    projects.router,
    subjects.router,
    known.router,
    sessions.router,
    scans.router,
    resources.router,
    files.router,
    downloads.router,
    pictures.router,
    prearchive.router,
    trash.router,
    damage.router,
    audit_log.router,
    subscriptions.router,
    accounts.router,
    own_account.router,
    members.router,
    rules.router,
    clock.router,
    upload_mapping.router,
)

_ACCOUNT: Final = "/api/v1/accounts/{account}"
_MEMBER: Final = "/api/v1/projects/{project}/members/{account}"
_FILE: Final = "/api/v1/sessions/{session}/files/{file}"
_SCAN: Final = "/api/v1/sessions/{session}/scans/{scan}"
_WAITING: Final = "/api/v1/prearchive/{session}"

ACTIONS: Final[dict[tuple[str, str], Action]] = {
    ("GET", "/api/v1/projects"): Action.PROJECT_SEE,
    ("GET", "/api/v1/projects/{project}"): Action.PROJECT_SEE,
    ("PATCH", "/api/v1/projects/{project}"): Action.PROJECT_EDIT,
    ("GET", "/api/v1/projects/{project}/download"): Action.SESSION_READ,
    ("GET", "/api/v1/subjects"): Action.SUBJECT_READ,
    ("GET", "/api/v1/subjects/{subject}"): Action.SUBJECT_READ,
    ("PATCH", "/api/v1/subjects/{subject}"): Action.SUBJECT_EDIT,
    ("POST", "/api/v1/sessions/known"): Action.ACCOUNT_READ,
    ("PUT", "/api/v1/uploads/{upload}/mapping"): Action.IMPORT_CANCEL,
    ("GET", "/api/v1/sessions"): Action.SESSION_READ,
    ("GET", "/api/v1/sessions/{session}"): Action.SESSION_READ,
    ("PATCH", "/api/v1/sessions/{session}"): Action.SESSION_EDIT,
    ("DELETE", "/api/v1/sessions/{session}"): Action.SESSION_DELETE,
    ("POST", "/api/v1/sessions/{session}/rebuild"): Action.SESSION_EDIT,
    ("GET", "/api/v1/sessions/{session}/download"): Action.SESSION_READ,
    ("GET", "/api/v1/sessions/{session}/scans"): Action.SESSION_READ,
    ("GET", _SCAN): Action.SESSION_READ,
    ("PATCH", _SCAN): Action.SESSION_EDIT,
    ("GET", f"{_SCAN}/download"): Action.SESSION_READ,
    ("GET", f"{_SCAN}/thumbnail"): Action.SESSION_READ,
    ("GET", f"{_SCAN}/stack"): Action.SESSION_READ,
    ("GET", f"{_SCAN}/frames/{{image}}"): Action.SESSION_READ,
    ("GET", f"{_SCAN}/frames/{{image}}/picture"): Action.SESSION_READ,
    ("GET", f"{_FILE}/header"): Action.SESSION_READ,
    ("GET", _FILE): Action.SESSION_READ,
    ("GET", f"{_FILE}/content"): Action.SESSION_READ,
    ("HEAD", f"{_FILE}/content"): Action.SESSION_READ,
    ("GET", "/api/v1/scans"): Action.SESSION_READ,
    ("GET", "/api/v1/resources"): Action.SESSION_READ,
    ("GET", "/api/v1/files"): Action.SESSION_READ,
    ("GET", "/api/v1/prearchive"): Action.PREARCHIVE_READ,
    ("GET", _WAITING): Action.PREARCHIVE_READ,
    ("POST", "/api/v1/prearchive/move"): Action.PREARCHIVE_EDIT,
    ("POST", "/api/v1/prearchive/archive"): Action.SESSION_ARCHIVE,
    ("POST", "/api/v1/prearchive/rebuild"): Action.PREARCHIVE_EDIT,
    ("POST", "/api/v1/prearchive/resolve"): Action.PREARCHIVE_EDIT,
    ("POST", "/api/v1/prearchive/delete"): Action.PREARCHIVE_DELETE,
    ("POST", f"{_WAITING}/move"): Action.PREARCHIVE_EDIT,
    ("POST", f"{_WAITING}/archive"): Action.SESSION_ARCHIVE,
    ("POST", f"{_WAITING}/rebuild"): Action.PREARCHIVE_EDIT,
    ("POST", f"{_WAITING}/resolve"): Action.PREARCHIVE_EDIT,
    ("DELETE", _WAITING): Action.PREARCHIVE_DELETE,
    ("GET", "/api/v1/trash"): Action.TRASH_READ,
    ("POST", "/api/v1/trash/{session}/restore"): Action.TRASH_RESTORE,
    ("GET", "/api/v1/damage"): Action.DAMAGE_READ,
    ("POST", "/api/v1/damage/verify"): Action.DAMAGE_VERIFY,
    ("POST", "/api/v1/sessions/{session}/verify"): Action.DAMAGE_VERIFY,
    ("GET", "/api/v1/audit"): Action.AUDIT_READ,
    ("GET", "/api/v1/audit/export"): Action.AUDIT_READ,
    ("GET", "/api/v1/subscriptions"): Action.ACCOUNT_EDIT,
    ("POST", "/api/v1/subscriptions"): Action.ACCOUNT_EDIT,
    ("DELETE", "/api/v1/subscriptions/{subscription}"): Action.ACCOUNT_EDIT,
    ("GET", "/api/v1/subscriptions/{subscription}/deliveries"): Action.ACCOUNT_EDIT,
    ("GET", "/api/v1/accounts"): Action.SITE_ADMIN,
    ("POST", "/api/v1/accounts"): Action.SITE_ADMIN,
    ("GET", _ACCOUNT): Action.SITE_ADMIN,
    ("PATCH", _ACCOUNT): Action.SITE_ADMIN,
    ("PUT", f"{_ACCOUNT}/password"): Action.SITE_ADMIN,
    ("PUT", "/api/v1/auth/password"): Action.ACCOUNT_EDIT,
    ("PATCH", "/api/v1/auth/me"): Action.ACCOUNT_EDIT,
    ("GET", "/api/v1/auth/logins"): Action.ACCOUNT_READ,
    ("DELETE", "/api/v1/auth/logins"): Action.ACCOUNT_EDIT,
    ("DELETE", "/api/v1/auth/logins/{login}"): Action.ACCOUNT_EDIT,
    ("GET", "/api/v1/projects/{project}/members"): Action.MEMBERS_READ,
    ("PUT", _MEMBER): Action.MEMBERS_EDIT,
    ("DELETE", _MEMBER): Action.MEMBERS_EDIT,
    ("GET", "/api/v1/clock"): Action.SITE_ADMIN,
    ("POST", "/api/v1/clock/confirm"): Action.SITE_ADMIN,
    ("GET", "/api/v1/rules"): Action.SITE_ADMIN,
    ("GET", "/api/v1/rules/{kind}"): Action.SITE_ADMIN,
    ("PUT", "/api/v1/rules/{kind}"): Action.SITE_ADMIN,
}
"""What each route asks the permission matrix, within the service that finds the thing.

Lists leave out what may not be seen; verbs for many answer for each. The trail without a project asks SITE_ADMIN, and
subscriptions of a project, as the settings of one, SETTINGS_EDIT.
"""

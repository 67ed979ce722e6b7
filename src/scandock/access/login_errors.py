"""Why a login is not granted, or a change that a login stands behind."""

from __future__ import annotations

from scandock.access.principal import Forbidden, Unauthorized


class LoginFailed(Unauthorized):
    CODE = "login_failed"
    MEANING = "Name, password or token is wrong, or the account is disabled (401): which of them is not told."


class CsrfFailed(Forbidden):
    CODE = "csrf_failed"
    MEANING = "The change, or the address that does something by GET, did not come from a page of this server (403)."


class ProviderAnswerInvalid(Unauthorized):
    CODE = "oidc_failed"
    MEANING = "What the provider of the login answered does not hold: the message says in which respect."


class ProviderAccountMissing(Forbidden):
    CODE = "oidc_not_allowed"
    MEANING = "The provider knows the person, but no rule gives an account here."


class ProviderNameTaken(Forbidden):
    CODE = "oidc_name_taken"
    MEANING = "The account could not be made: its name is another's, or can't be one."

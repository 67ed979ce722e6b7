"""What can't be done to an account, or by who asks."""

from __future__ import annotations

from scandock.model.errors import Coded, CodedUsage, Fault, Usage, Worded


class AccountExists(CodedUsage):
    CODE = "account_exists"
    STATUS = 409
    MEANING = "There is an account of that name already, in whatever case."
    SENTENCE = "There is an account {name} already."
    REMEDY = "Choose another name, or change that one."

    def __init__(self, name: str) -> None:
        self._fill({"name": name})


class AccountUnknown(Worded, Usage):
    CODE = "account_unknown"
    STATUS = 404
    MEANING = "There is no account of that name."


class AccountNameInvalid(Worded, Usage):
    CODE = "account_name_invalid"
    MEANING = (
        "That can't name an account: 1 to 64 letters, digits and `.` `_` `@` `-`, no UUID, none of the reserved names."
    )


class EmailInvalid(CodedUsage):
    CODE = "email_invalid"
    MEANING = "That is no e-mail address."
    SENTENCE = "{email!r} is no e-mail address."
    REMEDY = "Write it as name@example.org."

    def __init__(self, email: str) -> None:
        self._fill({"email": email})


class IdentityTaken(CodedUsage):
    CODE = "identity_taken"
    STATUS = 409
    MEANING = "That OpenID Connect identity logs in to another account."
    SENTENCE = "That identity logs in to {account} already."
    REMEDY = "Take it from there first."

    def __init__(self, account: str) -> None:
        self._fill({"account": account})


class LastAdmin(CodedUsage):
    CODE = "last_admin"
    STATUS = 409
    MEANING = "The last administrator can't be disabled or made an ordinary user."
    SENTENCE = "{account} is the last administrator."
    REMEDY = "Make another account administrator first."

    def __init__(self, account: str) -> None:
        self._fill({"account": account})


class PasswordUnfit(Worded, Usage):
    CODE = "password_unfit"
    MEANING = "A password is too short or too long."


class TokenDaysInvalid(CodedUsage):
    CODE = "token_days"
    MEANING = "A token lives 1 to 366 days."
    SENTENCE = "A token lives 1 to {most} days."
    REMEDY = "Name fewer days."

    def __init__(self, most: int) -> None:
        self._fill({"most": most})


class TokensTooMany(CodedUsage):
    CODE = "too_many_tokens"
    STATUS = 409
    MEANING = "An account has at most 100 tokens."
    SENTENCE = "An account has at most {most} tokens."
    REMEDY = "Revoke some."

    def __init__(self, most: int) -> None:
        self._fill({"most": most})


class SettingInvalid(Worded, Usage):
    CODE = "setting_invalid"
    MEANING = "A setting has a value that it can't have."


class ProviderUnreachable(Coded, Fault):
    CODE = "oidc_unreachable"
    MEANING = "The provider of the login does not answer as it should."
    SENTENCE = "The login's provider did not answer as it should: {why}."
    REMEDY = "Try again later."

    def __init__(self, why: str) -> None:
        self._fill({"why": why})

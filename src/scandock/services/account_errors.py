"""What can't be done to one's own account, or to another's."""

from __future__ import annotations

from scandock.model.errors import CodedUsage


class LoginUnknown(CodedUsage):
    CODE = "login_unknown"
    STATUS = 404
    MEANING = "You have no login of that id (404)."
    SENTENCE = "You have no login of that id."
    REMEDY = "List your logins."


class PasswordOwn(CodedUsage):
    CODE = "password_own"
    STATUS = 409
    MEANING = "One's own password is changed by the present one (409)."
    SENTENCE = "Your own password is changed by the present one."
    REMEDY = "Change it as your own."


class PasswordWrong(CodedUsage):
    CODE = "password_wrong"
    MEANING = "The present password, which a change of one's own needs, is wrong."
    SENTENCE = "The present password is wrong."
    REMEDY = "Type it again."


class TokenUnknown(CodedUsage):
    CODE = "token_unknown"
    STATUS = 404
    MEANING = "The account has no token of that alias."
    SENTENCE = "There is no token of that alias."
    REMEDY = "List the tokens."

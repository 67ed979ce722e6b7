"""What any request may get wrong: a parameter, a field, a value."""

from __future__ import annotations

from scandock.model.errors import Usage, Worded


class RequestInvalid(Worded, Usage):
    CODE = "request_invalid"
    MEANING = "A parameter or a field is not what it may be; the message names it."


class FieldsInvalid(RequestInvalid):
    """Of a body or a query that the description of the API does not allow."""

    STATUS = 422


class ValueInvalid(Worded, Usage):
    CODE = "value_invalid"
    MEANING = "A field can't have that value."

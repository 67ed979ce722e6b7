"""What any request or command may get wrong: a parameter, a field, a value, the data folder."""

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


class DataMissing(Worded, Usage):
    CODE = "data_missing"
    MEANING = "The folder of --data does not exist, and the command does not make it."

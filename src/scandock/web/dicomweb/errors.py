"""What is off with a request of DICOMweb itself."""

from __future__ import annotations

from scandock.model.errors import Usage, Worded


class NotAcceptable(Worded, Usage):
    CODE = "not_acceptable"
    STATUS = 406
    MEANING = "The request accepts no media type or transfer syntax in which this can be answered (DICOMweb)."

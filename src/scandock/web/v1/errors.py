"""What is off with a request to the API that no other door has."""

from __future__ import annotations

from scandock.access.principal import Hidden
from scandock.model.errors import CodedUsage


class WindowInvalid(CodedUsage):
    CODE = "window_invalid"
    MEANING = "A window names one of `center` and `width` without the other, or a width that is not above 0."
    SENTENCE = "A window has a center, and a width above 0."
    REMEDY = "Name both, or none."


class ProviderMissing(Hidden):
    CODE = "oidc_off"
    MEANING = "The site has no provider to log in by (404)."

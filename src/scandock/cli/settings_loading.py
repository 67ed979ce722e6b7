"""The settings of a command."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scandock.services.settings import Settings


def load_settings() -> Settings:
    """The settings, with a warning for each variable that means nothing.

    Imported here, as pydantic costs a tenth of a second.
    """
    from scandock.cli.consoles import print_line
    from scandock.services.setting_rows import describe_unknown_variables
    from scandock.services.settings import load_settings as load

    settings = load()
    for sentence in describe_unknown_variables():
        print_line(f"Warning: {sentence}")
    return settings

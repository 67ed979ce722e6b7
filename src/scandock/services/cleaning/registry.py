"""The cleaners of a web process, in the order of their turn.

A dialect adds its own (`web.dialect.Dialect.cleaners`). The trash is emptied by workers and by the command `import`
(`trash`), which load none of these.
"""

from __future__ import annotations

from typing import Final

from scandock.services.cleaning.cleaner import Cleaner, OfServer
from scandock.services.cleaning.pictures import PICTURES
from scandock.services.cleaning.rows import ENDED_ACCESS, MANIFESTS
from scandock.services.cleaning.uploads import BROKEN, ENDED, IDLE

OF_SERVER: Final[tuple[Cleaner[OfServer], ...]] = (BROKEN, IDLE, ENDED, ENDED_ACCESS, MANIFESTS, PICTURES)

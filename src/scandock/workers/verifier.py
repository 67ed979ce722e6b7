"""Stored files read again by a worker, slowly and all the time, beside all else that it does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import exists, or_, select

from scandock.catalog.tables import operation, upload
from scandock.model.verdicts import QUEUED
from scandock.queue.chores import chore
from scandock.services.file_verification import VerificationCounts, VerificationPlan, Verifier
from scandock.services.privacy_source import usable_privacy
from scandock.services.rate_limit import RateLimiter
from scandock.workers.turns import TurnThread

if TYPE_CHECKING:
    from collections.abc import Callable

    from structlog.typing import FilteringBoundLogger

    from scandock.catalog.engine import Catalog
    from scandock.rules.privacy import PrivacyRules
    from scandock.services.settings import Settings
    from scandock.store.port import Store

EVERY_SECONDS = 30.0
TURN_SECONDS = 20.0
"""How long it reads before it looks again whether imports run."""
BUSY_SHARE: Final = 0.25
"""Part of the allowed bandwidth that verification takes while imports run or wait: they have the disk first."""


class Verification:
    """Verifies as the site's settings say, a turn at a time; also while imports run, only slower."""

    def __init__(self, catalog: Catalog, store: Store, settings: Settings, pace: RateLimiter | None = None) -> None:
        self._catalog = catalog
        self._pace = pace or RateLimiter()
        self._rate = settings.verify_bytes_per_second
        plan = VerificationPlan(
            days=settings.verify_days, pace=self._pace, mail=settings.smtp_host is not None, rules_of=self._rules_of
        )
        self._verifier = Verifier(catalog, store, plan)

    def _rules_of(self, project: str) -> PrivacyRules | None:
        with self._catalog.read() as connection:
            privacy = usable_privacy(connection)
        return privacy.rules_of(project) if privacy is not None else None

    def turn(self, seconds: float, stop: Callable[[], bool]) -> VerificationCounts:
        """Verify for about so long. Raises Fault where the catalog fails."""
        self._pace.bytes_per_second = self._rate * (BUSY_SHARE if is_busy(self._catalog) else 1)
        return self._verifier.run(seconds, stop)


def is_busy(catalog: Catalog) -> bool:
    """Whether imports run or wait, or people change sessions."""
    with catalog.read() as connection:
        imports = exists().where(upload.c.state.in_(QUEUED))
        return bool(connection.execute(select(or_(imports, exists(select(operation.c.id))))).scalar_one())


class VerifierThread(TurnThread):
    """A thread that verifies what is to be verified, looks again now and then, and ends within a piece of a file."""

    def __init__(self, catalog: Catalog, store: Store, settings: Settings, log: FilteringBoundLogger) -> None:
        super().__init__("verifier", log, "not verified")
        self._catalog = catalog
        self._verification = Verification(catalog, store, settings, RateLimiter(wait=self._ended.wait))

    def _turn(self) -> float:
        with chore(self._catalog, "verification") as is_turn:
            if not is_turn:  # another host reads: what may be read in a second is for all of them together
                return EVERY_SECONDS
            done = self._verification.turn(TURN_SECONDS, self._ended.is_set)
        if done.problems:
            self._log.error("stored files are damaged", count=done.problems)
        return 0.0 if done.files or done.trees else EVERY_SECONDS

"""An upload that is being received, as the processes that receive it hand it to each other."""

from __future__ import annotations

from scandock.model.dataclass import dataclass
from scandock.model.verdicts import ImportState


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingUpload:
    """An upload as its row has it."""

    upload_id: int
    uuid: str
    account_id: int
    project_id: int | None
    door: str
    state: ImportState
    code: str
    size: int | None
    received: int
    metadata: str
    expires: int | None
    expired: bool
    writer: str = ""
    """Whoever brings its bytes, as its row has it: what is noted of them is noted for that one alone."""
    known: bool = False
    """It was there before, by its idempotency key: nothing is to be received."""

    @property
    def spool_writer(self) -> str:
        """The same for a store in which every host could grow its spool, in its 32 characters."""
        return self.writer.replace("-", "")

    @property
    def receiving(self) -> bool:
        return self.state is ImportState.RECEIVING

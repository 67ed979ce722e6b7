"""Whose question a decoder is asked next: turns by account, then by session; visitors without a login come last.

Nothing here waits or knows of processes: `decoders` does.
"""

from __future__ import annotations

import itertools
from collections import Counter, OrderedDict
from collections.abc import Hashable
from typing import Final, Generic, TypeVar

from scandock.model import request_limits
from scandock.model.dataclass import dataclass

MAX_WAITING: Final = request_limits.DECODER_LINE
"""Questions that may wait for a decoder: those of 50 browsers that look at series at once, and more."""

_SERVED: Final = 5_000
"""Accounts and sessions whose last turn is known."""


@dataclass(frozen=True, slots=True)
class Requester:
    """Who asks, and of which session. Visitors have no account and are told apart by their address or network."""

    account: int | None = None
    address: str = ""
    session: str = ""

    @property
    def visitor(self) -> bool:
        return self.account is None

    @property
    def who(self) -> Hashable:
        return self.address if self.account is None else self.account


class Question:
    """A question that waits, or is asked. `heavy`: it is known to keep a decoder busy for long."""

    def __init__(self, asker: Requester, *, heavy: bool = False) -> None:
        self.asker = asker
        self.heavy = heavy
        self.number = 0
        """When it came, among all."""


Q = TypeVar("Q", bound=Question)


class QueueFull(Exception):
    """The line is full, and whoever asks has no less in it than others."""


class QuestionQueue(Generic[Q]):
    """The line of questions."""

    def __init__(self, most: int = MAX_WAITING) -> None:
        self._most = most
        self._line: list[Q] = []
        self._numbers = itertools.count(1)
        self._served: OrderedDict[Hashable, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._line)

    def add(self, question: Q) -> Q | None:
        """Put a question into the line; gives the one that had to leave for it. QueueFull.

        A full line is left by visitors for whoever is signed in, else by those who have the most in it for those who
        have less: the last that came of them.
        """
        leaving = self._leaving(question.asker) if len(self._line) >= self._most else None
        if leaving is not None:
            self._line.remove(leaving)
        if not question.number:  # one that is put back keeps its place
            question.number = next(self._numbers)
        self._line.append(question)
        return leaving

    def _leaving(self, newcomer: Requester) -> Q:
        among = [question for question in self._line if question.asker.visitor]
        least = 0
        if newcomer.visitor or not among:
            among = [question for question in self._line if question.asker.visitor == newcomer.visitor]
            least = sum(question.asker.who == newcomer.who for question in among) + 1
        counts = Counter(question.asker.who for question in among)
        if not counts or max(counts.values()) <= least:
            raise QueueFull
        most = max(counts.values())
        return max(
            (question for question in among if counts[question.asker.who] == most), key=lambda question: question.number
        )

    def remove(self, question: Q) -> None:
        """Take out a question that nobody waits for any more."""
        self._line.remove(question)

    def has_light(self) -> bool:
        """Whether a question waits that is not known to be heavy."""
        return any(not question.heavy for question in self._line)

    def next(self, *, heavy: bool) -> Q | None:
        """Take out the question whose turn it is, `heavy` ones among it or not; None where none may be asked."""
        question = min((waiting for waiting in self._line if heavy or not waiting.heavy), key=self._place, default=None)
        if question is None:
            return None
        self._line.remove(question)
        turn = next(self._numbers)
        for key in self._keys(question.asker):
            self._served[key] = turn
            self._served.move_to_end(key)
        while len(self._served) > _SERVED:
            self._served.popitem(last=False)
        return question

    def _place(self, question: Q) -> tuple[bool, int, int, int]:
        """Who had no turn for the longest time comes first."""
        who, session = (self._served.get(key, 0) for key in self._keys(question.asker))
        return question.asker.visitor, who, session, question.number

    @staticmethod
    def _keys(asker: Requester) -> tuple[Hashable, Hashable]:
        return (asker.visitor, asker.who), (asker.visitor, asker.who, asker.session)

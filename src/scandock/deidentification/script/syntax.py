"""What a script consists of, as the parser makes it and the evaluator runs it: tag paths, values, statements.

A tag is a number of 32 bits. Each digit of a tag in a script says something about the bits of that digit alone: a
hexadecimal digit gives all four, `X` none, `@` (even) and `#` (odd) the lowest one. So a tag with or without wildcards
is a value and a mask.
"""

from __future__ import annotations

from dataclasses import field
from typing import Final, Literal

from scandock.model.dataclass import dataclass

PLAIN_PUBLIC: Final = 0xFFFFFFFF
PLAIN_PRIVATE: Final = 0xFFFF00FF
ANY_ITEM: Final = -1
"""As an item's number: every one. Items count from 0."""


@dataclass(frozen=True, slots=True)
class TagPattern:
    """The tag of one step: what `number & mask` is. Of a private one the bits of its block are free."""

    value: int
    mask: int
    creator: str | None = None

    @property
    def is_plain(self) -> bool:
        """Whether it has no wildcard, so that a data set has one such element at most (of one block)."""
        return self.mask == (PLAIN_PUBLIC if self.creator is None else PLAIN_PRIVATE)


@dataclass(frozen=True, slots=True)
class TagStep:
    """An element, or the items of it that a path leads through; `item` is None where the script names none."""

    tag: TagPattern
    item: int | None = None


@dataclass(frozen=True, slots=True)
class LevelStep:
    """A wildcard of levels: `*` zero or more, `+` one or more, `.` exactly one."""

    kind: Literal["*", "+", "."]


Step = TagStep | LevelStep


@dataclass(frozen=True, slots=True)
class Path:
    """Steps from the data set inwards; `text` is how the script writes it, for messages."""

    steps: tuple[Step, ...]
    text: str

    @property
    def is_singular(self) -> bool:
        """Whether it can name one element only: plain digits, and every sequence with the number of an item."""
        *outer, last = self.steps
        return (
            isinstance(last, TagStep)
            and last.tag.is_plain
            and last.item != ANY_ITEM
            and all(
                isinstance(step, TagStep) and step.tag.is_plain and step.item is not None and step.item != ANY_ITEM
                for step in outer
            )
        )

    @property
    def is_private(self) -> bool:
        return any(isinstance(step, TagStep) and step.tag.creator is not None for step in self.steps)

    @property
    def plain_tag(self) -> int | None:
        """The tag, where the path is one plain public element of the data set itself."""
        step = self.steps[0]
        if len(self.steps) == 1 and isinstance(step, TagStep) and step.item is None and step.tag.creator is None:
            return step.tag.value if step.tag.is_plain else None
        return None

    @property
    def last_plain_tag(self) -> int | None:
        """The public tag that every match of the path has; None where it has a wildcard or is private."""
        last = self.steps[-1]
        if isinstance(last, TagStep) and last.tag.mask == PLAIN_PUBLIC and last.tag.creator is None:
            return last.tag.value
        return None


@dataclass(frozen=True, slots=True)
class Text:
    """A string or a number: a number's value is its text."""

    text: str


@dataclass(frozen=True, slots=True)
class Variable:
    name: str


@dataclass(frozen=True, slots=True)
class ListValue:
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Call:
    name: str
    arguments: tuple[Value, ...]


Value = Text | Variable | ListValue | Call | Path


@dataclass(frozen=True, slots=True)
class Comparison:
    left: Value
    operator: Literal["=", "!=", "~", "!~"]
    right: Value


Condition = Comparison | Call


@dataclass(frozen=True, slots=True)
class Assign:
    """`path := value`."""

    line: int
    target: Path
    value: Value


@dataclass(frozen=True, slots=True)
class AssignPresent:
    """`path ?= value`: every element that is there."""

    line: int
    target: Path
    value: Value


@dataclass(frozen=True, slots=True)
class SetVariable:
    line: int
    name: str
    value: Value


@dataclass(frozen=True, slots=True)
class Delete:
    line: int
    target: Path


@dataclass(frozen=True, slots=True)
class CallStatement:
    line: int
    call: Call


@dataclass(frozen=True, slots=True)
class Echo:
    line: int
    value: Value | None


@dataclass(frozen=True, slots=True)
class RemovePrivate:
    """`removeAllPrivateTags`."""

    line: int


@dataclass(frozen=True, slots=True)
class Branch:
    """The first block whose condition holds is run, else `otherwise`; `condition ? action : action` is one, too."""

    line: int
    cases: tuple[tuple[Condition, tuple[Statement, ...]], ...]
    otherwise: tuple[Statement, ...] = ()


Statement = Assign | AssignPresent | SetVariable | Delete | CallStatement | Echo | RemovePrivate | Branch


@dataclass(frozen=True, slots=True)
class Script:
    """A script that was read: its name for messages, its text, and what it does, in order."""

    name: str
    text: str = field(repr=False)
    version: str = field(compare=False)
    statements: tuple[Statement, ...] = field(compare=False, repr=False)

"""Whether a pattern of Python's `re` may take forever, from how `re` itself reads it.

Something that is repeated without an end must be told apart in one way only: each repetition within it from what
follows, by characters that the repetition itself does not take, and alternatives by what they begin with.
"""

from __future__ import annotations

import re
from re import _constants as sre
from re import _parser as sre_parser
from typing import Any, Final

Operation = Any
Argument = Any
Piece = tuple[Operation, Argument]
"""One piece of a pattern, as `re` has it: what it does (LITERAL, MAX_REPEAT ...), and with what."""
Body = Any
"""Pieces in a row."""

_REPEATS: Final = frozenset({sre.MAX_REPEAT, sre.MIN_REPEAT})
_MANY: Final = 10
"""Repetitions from which on something counts as repeated without an end."""
MANY_ENDS: Final = 1024
_MOST_LOOSE: Final = 64
_LINE_ENDS: Final = frozenset({0x0A, 0x0D, 0x85, 0x2028})
"""Those of the sample that `.` does not take."""


def may_run_away(pattern: str, flags: int) -> bool:
    """Whether a pattern may take forever. Raises re.error where it is none."""
    return _is_runaway(sre_parser.parse(pattern, flags))


def loose_ranges(pattern: str, flags: int) -> list[int]:
    """How many ends each repetition of a pattern can have in one text, of those that can have several.

    The time that a pattern may take grows by the product of these; repetitions without an end count as MANY_ENDS. One
    more is for repetitions with one end each, as they are walked through for each end of the others.
    """
    pieces = _flat(sre_parser.parse(pattern, flags))
    ranges = _loose_ranges(pieces, wraps=False)
    unbounded = _count_unbounded(pieces)
    return [*ranges, MANY_ENDS] if unbounded > sum(ends == MANY_ENDS for ends in ranges) else ranges


def _count_unbounded(pieces: list[Piece]) -> int:
    count = 0
    for operation, argument in pieces:
        if operation in _REPEATS and argument[1] > _MANY:
            count += 1
        else:
            count += sum(_count_unbounded(_flat(inner)) for inner in _inner(operation, argument))
    return count


def begins_anywhere(pattern: str, flags: int) -> bool:
    """Whether a pattern begins by `.*` or the like: where it is found at all, it is found from the line's beginning."""
    pieces = _flat(sre_parser.parse(pattern, flags))
    operation, argument = pieces[0] if pieces else (None, None)
    if argument is None or operation not in _REPEATS or argument[1] is not sre.MAXREPEAT:
        return False
    return (_all(argument[2]) or frozenset()) >= _SAMPLE - _LINE_ENDS


def _loose_ranges(pieces: list[Piece], *, wraps: bool) -> list[int]:
    """Of pieces in a row; `wraps`: they are repeated, so that the first one follows the last one."""
    ranges: list[int] = []
    for at, (operation, argument) in enumerate(pieces):
        if operation is sre.BRANCH:
            branches = [_flat(branch) for branch in argument[1]]
            ranges += max((_loose_ranges(branch, wraps=wraps) for branch in branches), key=sum, default=[])
            if not _are_disjoint([_first(branch) for branch in branches]):
                ranges.append(len(branches) - 1)
        elif operation in _REPEATS:
            least, most, body = argument
            following = [*pieces[at + 1 :], *(pieces if wraps else ())]
            if most > least and following:
                taken, after = _all(body), _first(following)
                if taken is None or after is None or taken & after:
                    ranges.append(min(most - least, MANY_ENDS))
            if most <= _MANY:
                ranges += _loose_ranges(_flat(body), wraps=most > 1) * most
        elif operation in {sre.ASSERT, sre.ASSERT_NOT}:
            ranges += _loose_ranges(_flat(argument[1]), wraps=False)
        if len(ranges) > _MOST_LOOSE:
            break
    return ranges


def _is_runaway(parsed: Body) -> bool:
    """Whether something is repeated without an end in which one text can be taken in several ways."""
    for operation, argument in parsed:
        is_endless = operation in _REPEATS and argument[1] > _MANY
        if is_endless and (_is_ambiguous(argument[2]) or _first(_flat(argument[2])) is None):
            return True
        if any(_is_runaway(inner) for inner in _inner(operation, argument)):
            return True
    return False


def _inner(operation: Operation, argument: Argument) -> list[Body]:
    """The patterns within one piece of a pattern."""
    if operation in _REPEATS or operation is sre.POSSESSIVE_REPEAT:
        return [argument[2]]
    if operation is sre.SUBPATTERN:
        return [argument[3]]
    if operation is sre.BRANCH:
        return list(argument[1])
    if operation in {sre.ASSERT, sre.ASSERT_NOT}:
        return [argument[1]]
    if operation is sre.ATOMIC_GROUP:
        return [argument]
    return []


def _is_ambiguous(body: Body) -> bool:
    """Whether a text of many rounds of `body` could be shared out among the rounds in several ways.

    Each repetition in it has to be told from what follows, in this round or the next one, by characters that the
    repetition itself does not take; and no two alternatives may begin alike.
    """
    pieces = _flat(body)
    for at, (operation, argument) in enumerate(pieces):
        if operation is sre.BRANCH:
            branches = argument[1]
            firsts = [_first(_flat(branch)) for branch in branches]
            if any(_is_ambiguous(branch) for branch in branches) or not _are_disjoint(firsts):
                return True
        elif operation in _REPEATS and argument[0] != argument[1]:
            following = [*pieces[at + 1 :], *pieces[: at + 1]]
            if at + 1 == len(pieces) and len(pieces) == 1:
                return True
            taken, after = _all(argument[2]), _first(following)
            if taken is None or after is None or taken & after or _is_ambiguous(argument[2]):
                return True
        elif operation in {sre.GROUPREF, sre.GROUPREF_EXISTS, sre.ASSERT, sre.ASSERT_NOT}:
            return True
    return False


def _flat(body: Body) -> list[Piece]:
    """The pieces of a pattern, groups opened where that changes nothing."""
    pieces: list[Piece] = []
    for operation, argument in body:
        if operation is sre.SUBPATTERN:
            pieces.extend(_flat(argument[3]))
        elif operation is sre.ATOMIC_GROUP:
            pieces.extend(_flat(argument))
        else:
            pieces.append((operation, argument))
    return pieces


_SAMPLE: Final = frozenset(range(0x180)) | {0x2028, 0x3042, 0x4E00}
"""The characters by which sets are compared: those of Europe's languages, and one each of others."""


def _are_disjoint(sets: list[frozenset[int] | None]) -> bool:
    seen: set[int] = set()
    for members in sets:
        if members is None or seen & members:
            return False
        seen |= members
    return True


def _first(pieces: list[Piece]) -> frozenset[int] | None:
    """The characters that a text of these pieces can begin with; None where it can be empty or is not known."""
    found: set[int] = set()
    for operation, argument in pieces:
        if operation is sre.AT:
            continue
        if operation is sre.BRANCH:
            for branch in argument[1]:
                members = _first(_flat(branch))
                if members is None:
                    return None
                found |= members
            return frozenset(found)
        if operation in _REPEATS or operation is sre.POSSESSIVE_REPEAT:
            members = _first(_flat(argument[2]))
            if members is None:
                return None
            found |= members
            if argument[0] > 0:
                return frozenset(found)
            continue
        members = _members(operation, argument)
        if members is None:
            return None
        return frozenset(found) | members
    return None


def _all(body: Body) -> frozenset[int] | None:
    """All characters that can stand in a text of a pattern; None where that is not known."""
    found: set[int] = set()
    for operation, argument in _flat(body):
        if operation is sre.AT:
            continue
        inner = _inner(operation, argument)
        if inner:
            for part in inner:
                members = _all(part)
                if members is None:
                    return None
                found |= members
            continue
        members = _members(operation, argument)
        if members is None:
            return None
        found |= members
    return frozenset(found)


def _members(operation: Operation, argument: Argument) -> frozenset[int] | None:
    """The characters of the sample that one piece takes (in either case)."""
    if operation is sre.LITERAL:
        return _cases({argument})
    if operation is sre.NOT_LITERAL:
        return _SAMPLE - {argument}
    if operation is sre.ANY:
        return _SAMPLE
    if operation is not sre.IN:
        return None
    members: set[int] = set()
    is_negated = False
    for kind, value in argument:
        if kind is sre.NEGATE:
            is_negated = True
        elif kind is sre.LITERAL:
            members.add(value)
        elif kind is sre.RANGE:
            members.update(code for code in _SAMPLE if value[0] <= code <= value[1])
        else:
            members.update(code for code in _SAMPLE if _in_category(value, chr(code)))
    return _SAMPLE - members if is_negated else _cases(members)


def _cases(codes: set[int]) -> frozenset[int]:
    return frozenset(codes) | {
        ord(other) for code in codes for other in (chr(code).lower(), chr(code).upper()) if len(other) == 1
    }


def _in_category(category: Operation, character: str) -> bool:
    letter = str(category).rpartition("_")[2][0].lower()
    is_negated = "_NOT_" in str(category)
    return (re.compile("\\" + letter).match(character) is not None) != is_negated

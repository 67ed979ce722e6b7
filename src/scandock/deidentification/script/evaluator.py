"""Runs scripts on an object: statements as functions that are made once and called for each object.

Plain elements of the data set itself are read and written by their tag, without a walk. Statements in a row that delete
such elements, or elements wherever they stand (`*/`), share one walk.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from scandock.deidentification.errors import ScrubError
from scandock.deidentification.script.errors import ScriptFailed
from scandock.deidentification.script.functions import (
    HANDLERS,
    delete_matches,
    is_true,
    matches_to_change,
    matches_whole,
)
from scandock.deidentification.script.parser import PASSED_OVER
from scandock.deidentification.script.private_tags import remove_private
from scandock.deidentification.script.run_state import (
    MOST_LISTED,
    Argument,
    Listed,
    RejectedError,
    Result,
    Run,
    ScriptContext,
    as_text,
    read_text,
    write_text,
)
from scandock.deidentification.script.signatures import FUNCTIONS, MANY
from scandock.deidentification.script.syntax import (
    Assign,
    AssignPresent,
    Branch,
    Call,
    CallStatement,
    Comparison,
    Condition,
    Delete,
    Echo,
    LevelStep,
    ListValue,
    Path,
    RemovePrivate,
    Script,
    SetVariable,
    Statement,
    TagPattern,
    TagStep,
    Text,
    Value,
    Variable,
)
from scandock.deidentification.script.tag_paths import find_one, find_tags, is_creator, items_below, make_place
from scandock.model.dataclass import dataclass
from scandock.model.tags import PIXEL_DATA

if TYPE_CHECKING:
    from scandock.deidentification.data_set import DataSet, DicomObject

Action = Callable[[Run], None]
_IN_META: Final = ((0x00080016, 0x00020002), (0x00080018, 0x00020003))
"""Class and UID of an object, and where its meta information repeats them."""


class _Numbered(NamedTuple):
    line: int
    action: Action


_Program = tuple[_Numbered, ...]


@dataclass(frozen=True, slots=True)
class ScriptOutcome:
    """What scripts made of an object; one that is rejected is left out on purpose."""

    rejected: bool = False
    pixels_altered: bool = False


class _Located(Exception):
    """An error, and the line of the statement that it was met in."""

    def __init__(self, line: int, error: ScrubError) -> None:
        super().__init__()
        self.line = line
        self.error = error


def run_scripts(scripts: Sequence[Script], obj: DicomObject, context: ScriptContext) -> ScriptOutcome:
    """Run scripts on an object, in order, within the time of one object.

    Raises ScrubError where a statement fails: the object is half changed then, and nothing of it may be written.
    """
    run = Run(obj, context)
    for script in scripts:
        run.begin_script()
        try:
            if context.ran is None:
                _run(_compiled(script), run)
            else:
                _run_each(script, run, context.ran)
        except RejectedError:
            return ScriptOutcome(rejected=True)
        except _Located as located:
            error = located.error
            text = f"{script.name}, line {located.line}: {error.message.removesuffix('.')}."
            raise type(error)(text) from None
        except RecursionError:
            raise ScriptFailed(f"{script.name}: it has too many levels.") from None
    _update_meta(run)
    return ScriptOutcome(pixels_altered=run.pixels_altered)


def _update_meta(run: Run) -> None:
    """Let the meta information have the class and the UID of the data set, or none, where scripts changed them there.

    What a script wrote to the meta information itself stays.
    """
    meta, data = run.meta, run.data
    if meta is None:
        return
    for tag, meta_tag in _IN_META:
        if tag not in data.changes or meta_tag in meta.changes or meta_tag not in meta:
            continue
        if tag in data and data.items(tag) is None:
            meta.set_value(meta_tag, "UI", data.value(tag))
        else:
            meta.remove(meta_tag)


def _run(program: _Program, run: Run) -> None:
    for line, action in program:
        try:
            action(run)
            run.check_time()
        except ScrubError as error:
            raise _Located(line, error) from None


def _run_each(script: Script, run: Run, ran: Callable[[DicomObject, str, int], None]) -> None:
    """Run the statements one by one, and tell of each: none shares a walk with others."""
    for statement in script.statements:
        _run((_Numbered(statement.line, _statement(statement)),), run)
        ran(run.object, script.name, statement.line)


@lru_cache(maxsize=64)
def _compiled(script: Script) -> _Program:
    return _compile(script.statements)


def _compile(statements: Sequence[Statement]) -> _Program:
    program: list[_Numbered] = []
    deletes = _Deletes()
    for statement in statements:
        paths = _deleted_paths(statement)
        if paths is not None and deletes.take(paths, statement.line):
            continue
        program.extend(deletes.close())
        program.append(_Numbered(statement.line, _statement(statement)))
    program.extend(deletes.close())
    return tuple(program)


def _statement(statement: Statement) -> Action:
    if isinstance(statement, Assign):
        return _assign(statement)
    if isinstance(statement, AssignPresent):
        return _assign_present(statement)
    if isinstance(statement, SetVariable):
        return _set_variable(statement)
    if isinstance(statement, Delete):
        target = statement.target
        return lambda run: delete_matches(matches_to_change(run, [target]))
    if isinstance(statement, CallStatement):
        call = _call(statement.call)
        return lambda run: _ignore(call(run))
    if isinstance(statement, Echo):
        return _echo(statement)
    if isinstance(statement, RemovePrivate):
        return lambda run: remove_private(run.data, run.check_time)
    return _branch(statement)


def _ignore(_result: Result) -> None:
    """A function that is called for what it does."""


# Deletes that share a walk


def _deleted_paths(statement: Statement) -> Sequence[Path] | None:
    """The paths that a statement deletes, where it does nothing else."""
    if isinstance(statement, Delete):
        return [statement.target]
    if isinstance(statement, CallStatement) and statement.call.name == "removeTags" and statement.call.arguments:
        paths: list[Path] = []
        for argument in statement.call.arguments:
            values = argument.values if isinstance(argument, ListValue) else (argument,)
            paths.extend(value for value in values if isinstance(value, Path))
            if not all(isinstance(value, Path) for value in values):
                return None
        return paths
    return None


class _Deletes:
    """Deletes in a row that one walk can do."""

    def __init__(self) -> None:
        self.line = 0
        self.top: set[int] = set()
        self.plain: set[int] = set()
        self.patterns: list[TagPattern] = []

    def take(self, paths: Sequence[Path], line: int) -> bool:
        """Take the paths of one statement; False, and none is taken, where one of them is of another kind."""
        everywhere = [self._everywhere(path) for path in paths]
        if any(path.plain_tag is None and tag is None for path, tag in zip(paths, everywhere, strict=True)):
            return False
        self.line = self.line or line
        for path, tag in zip(paths, everywhere, strict=True):
            if tag is None:
                assert path.plain_tag is not None
                self.top.add(path.plain_tag)
            elif tag.creator is None and tag.is_plain:
                self.plain.add(tag.value)
            else:
                self.patterns.append(tag)
        return True

    @staticmethod
    def _everywhere(path: Path) -> TagPattern | None:
        """The tag of a path `*/tag`."""
        if len(path.steps) != 2 or path.steps[0] != LevelStep("*"):
            return None
        last = path.steps[1]
        return last.tag if isinstance(last, TagStep) and last.item is None else None

    def close(self) -> list[_Numbered]:
        """One statement for all that were taken, if there are any."""
        if not self.line:
            return []
        top, plain, patterns = tuple(self.top), frozenset(self.plain), tuple(self.patterns)

        def delete(run: Run) -> None:
            for tag in top:
                data_set = run.top(tag)
                if data_set is not None and tag in data_set:
                    data_set.remove(tag)
            if plain or patterns:
                for data_set in run.tops:
                    _delete_everywhere(data_set, plain, patterns, run.check_time)

        numbered = _Numbered(self.line, delete)
        self.__init__()  # type: ignore[misc]
        return [numbered]


def _delete_everywhere(
    data_set: DataSet, plain: frozenset[int], patterns: Sequence[TagPattern], check_time: Callable[[], None]
) -> None:
    check_time()
    for tag in plain.intersection(data_set.tags()):
        data_set.remove(tag)
    for pattern in patterns:
        for tag in find_tags(data_set, pattern):
            if tag not in PASSED_OVER:
                data_set.remove(tag)
    for item in items_below(data_set):
        _delete_everywhere(item, plain, patterns, check_time)


# Assignments


def _assign(statement: Assign) -> Action:
    path, value = statement.target, _value(statement.value)
    last = path.steps[-1]
    if not path.is_singular or (isinstance(last, TagStep) and last.item is not None):
        return _failing(f"{path.text} can't be assigned to: it does not name one element")
    tag = path.plain_tag
    if tag is not None:

        def assign_plain(run: Run) -> None:
            text = as_text(value(run))
            data_set = run.top(tag)
            if text is not None and data_set is not None:
                write_text(data_set, tag, text)

        return assign_plain

    def assign(run: Run) -> None:
        text = as_text(value(run))
        if text is not None:
            put(run, text)

    def put(run: Run, text: str) -> None:
        try:
            write_text(*make_place(run.data, path), text)
        except ScrubError as error:
            raise _of_path(path, error) from None

    return assign


def _assign_present(statement: AssignPresent) -> Action:
    path, value = statement.target, _value(statement.value)

    def assign(run: Run) -> None:
        text = as_text(value(run))
        if text is None:
            return
        try:
            for data_set, tag, item in matches_to_change(run, [path]):
                if item is None and tag not in PIXEL_DATA and not is_creator(tag) and not data_set.items(tag):
                    write_text(data_set, tag, text)
        except ScrubError as error:
            raise _of_path(path, error) from None

    return assign


def _of_path(path: Path, error: ScrubError) -> ScrubError:
    """An error that names the path."""
    return error if path.text in error.message else type(error)(f"{path.text}: {error.message}")


def _set_variable(statement: SetVariable) -> Action:
    name, value = statement.name, _value(statement.value)

    def assign(run: Run) -> None:
        run.variables[name] = value(run)

    return assign


def _echo(statement: Echo) -> Action:
    value = None if statement.value is None else _value(statement.value)

    def echo(run: Run) -> None:
        result = "" if value is None else value(run)
        if run.context.echo is not None:
            run.context.echo(_shown(result))

    return echo


def _shown(result: Result) -> str | None:
    if isinstance(result, tuple):
        return ", ".join(entry.text if isinstance(entry, Path) else entry or "" for entry in result)
    return result


def _failing(reason: str) -> Callable[[Run], None]:
    def fail(_run: Run) -> None:
        raise ScriptFailed(reason)

    return fail


# Conditions


def _branch(statement: Branch) -> Action:
    cases = [(_condition(condition), _compile(block)) for condition, block in statement.cases]
    otherwise = _compile(statement.otherwise)

    def branch(run: Run) -> None:
        for holds, block in cases:
            if holds(run):
                _run(block, run)
                return
        _run(otherwise, run)

    return branch


def _condition(condition: Condition) -> Callable[[Run], bool]:
    if isinstance(condition, Call):
        call = _call(condition, needs_value=True)
        return lambda run: is_true(as_text(call(run)))
    return _comparison(condition)


def _comparison(comparison: Comparison) -> Callable[[Run], bool]:
    left, right = _value(comparison.left), _value(comparison.right)
    is_pattern, is_negated = "~" in comparison.operator, "!" in comparison.operator

    def holds(run: Run) -> bool:
        text, other = as_text(left(run)), as_text(right(run))
        if text is None:
            return is_negated
        if not is_pattern:
            return (text == other) != is_negated
        if other is None:
            raise ScriptFailed("a pattern has no value")
        return matches_whole(text, other) != is_negated

    return holds


# Values


def _value(value: Value) -> Callable[[Run], Result]:
    if isinstance(value, Text):
        text = value.text
        return lambda _run: text
    if isinstance(value, Variable):
        return _variable(value.name)
    if isinstance(value, ListValue):
        return _list(value)
    if isinstance(value, Call):
        return _call(value, needs_value=True)
    return _path(value)


def _variable(name: str) -> Callable[[Run], Result]:
    def read(run: Run) -> Result:
        try:
            return run.variables[name]
        except KeyError:
            raise ScriptFailed(f"{name} has no value") from None

    return read


def _list(value: ListValue) -> Callable[[Run], Result]:
    entries = [entry if isinstance(entry, Path) else _value(entry) for entry in value.values]

    def read(run: Run) -> Listed:
        listed: list[str | Path | None] = []
        for entry in entries:
            result = entry if isinstance(entry, Path) else entry(run)
            if isinstance(result, tuple):
                listed.extend(result)
            else:
                listed.append(result)
            if len(listed) > MOST_LISTED:
                raise ScriptFailed(f"a list has more than {MOST_LISTED:,} values")
        return tuple(listed)

    return read


def _path(path: Path) -> Callable[[Run], Result]:
    if not path.is_singular:
        return _failing(f"{path.text} can name several elements, and its value is asked for")
    tag = path.plain_tag
    if tag is not None:

        def read_plain(run: Run) -> Result:
            data_set = run.top(tag)
            return None if data_set is None else read_text(data_set, tag)

        return read_plain

    def read(run: Run) -> Result:
        place = find_one(run.data, path)
        return None if place is None else read_text(*place)

    return read


def _call(call: Call, *, needs_value: bool = False) -> Callable[[Run], Result]:
    signature, handler = FUNCTIONS[call.name], HANDLERS[call.name]
    count = len(call.arguments)
    if not signature.least <= count <= signature.most:
        return _failing(f"{call.name} takes {_counted(signature.least, signature.most)}: {signature.form}")
    arguments = [Argument(value if isinstance(value, Path) else None, _value(value)) for value in call.arguments]
    if not (needs_value and signature.is_void):
        return lambda run: handler(run, arguments)

    def fail(run: Run) -> Result:
        handler(run, arguments)
        raise ScriptFailed(f"{call.name} has no value")

    return fail


def _counted(least: int, most: int) -> str:
    if most == MANY:
        return f"at least {least} argument{'s' if least != 1 else ''}"
    return f"{least if least == most else f'{least} or {most}'} argument{'s' if most != 1 else ''}"

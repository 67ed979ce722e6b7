"""Scripts from text to statements. What is wrong is refused with line and column, and what may stand there.

The grammar is grammar.lark. Checked here beyond it: the version, names of functions, sizes, and that no statement
changes what says how an object is written (character set, transfer syntax).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, NoReturn, cast

from scandock.deidentification.package_files import path_beside, read_beside
from scandock.deidentification.script.errors import ScriptRefused
from scandock.deidentification.script.signatures import CHANGES_PATHS, FUNCTIONS, REFUSED
from scandock.deidentification.script.source import Source, find_too_deep, read_source
from scandock.deidentification.script.syntax import (
    ANY_ITEM,
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
    Step,
    TagStep,
    Text,
    Value,
    Variable,
)
from scandock.deidentification.script.tag_text import (
    MOST_ITEMS,
    MOST_STEPS,
    PathError,
    read_direct,
    read_path,
    read_tag,
)
from scandock.rules.java_patterns import PatternError, PatternUnsupported, compile_pattern

if TYPE_CHECKING:
    from lark import Lark, Token, Tree

MAX_BYTES: Final = 64 * 1024
MAX_STATEMENTS: Final = 2_000
_VERSION: Final = re.compile(r"6\.\d", re.ASCII)
_VERSION_STATEMENT: Final = re.compile(r'\s*version(?![A-Za-z0-9_])(?:[ \t]*"([^"\\\r\n]*)")?')
TABLES: Final = path_beside(__file__, "grammar.tables")
"""Tables of the grammar, as `scripts/script_tables.py` has lark save them."""
PROTECTED: Final = {
    0x00080005: "(0008,0005), the character set, can't be changed: the texts of the object would read as others",
    0x00020000: "(0002,0000) can't be changed: it is counted anew where the object is written",
    0x00020010: "(0002,0010), the transfer syntax, can't be changed: it says how the object is written",
}
"""Elements that say how an object is written, and why no script changes them."""
PASSED_OVER: Final = frozenset({*PROTECTED, 0x00020001, 0x00020002, 0x00020003})
"""Elements that are changed by no path with wildcards: those, and others without which there is no meta information."""
_NEVER_SET: Final = {
    0x0000: "elements of group 0000 are of messages between machines: no file has them",
    0xFFFE: "items and delimiters are no elements: they can't be set",
    0xFFFF: "group FFFF is no group of elements",
}
_META_GROUP: Final = 0x0002
_WHOLE_GROUP: Final = 0xFFFF

_PATH: Final = frozenset({"PUBLIC_TAG", "PRIVATE_TAG", "STAR", "PLUS", "DOT"})
_VALUE: Final = _PATH | {"NUMBER", "STRING", "ID", "LBRACE"}
_STATEMENT: Final = _PATH | {"ID", "MINUS", "ECHO", "IF", "VERSION", "REMOVE_PRIVATE", "DESCRIBE", "EXPORT"}
_ACTION: Final = _PATH | {"ID", "MINUS", "ECHO"}
_NAMES: Final = {
    "_NL": "a line end",
    "ID": "a name",
    "STRING": "a string in double quotes",
    "NUMBER": "a number",
    "OPERATOR": "=, !=, ~ or !~",
    "VERSION": "version",
    "ECHO": "echo",
    "IF": "if",
    "ELSEIF": "elseif",
    "ELSE": "else",
    "REMOVE_PRIVATE": "removeAllPrivateTags",
    "MINUS": "-",
    "ANY": "%",
    "$END": "the end of the script",
}
_MISTAKES: Final = (
    (
        re.compile(r"\([0-9A-Fa-fXx@#]{3}[13579BDFbdf#][ \t]*,[ \t]*[0-9A-Fa-fXx@#]{4}[ \t]*\)"),
        "a private element is named by its creator, as (0019,{CREATOR}10)",
    ),
    (
        re.compile(r"\([0-9A-Fa-fXx@#]{3}[Xx],"),
        "the last digit of a group is a digit, @ (even) or # (odd, a private group), as in (50X@,0010)",
    ),
    (
        re.compile(r"\([0-9A-Fa-fXx@#]{3}[02468ACEace@][ \t]*,[ \t]*\{"),
        "a group with a creator is odd, or ends with #",
    ),
    (
        re.compile(
            r"\([ \t]{1,20}[0-9A-Fa-fXx@#]{4}|"
            r"\([0-9A-Fa-fXx@#]{4}[ \t]{0,20},[ \t]{0,20}[0-9A-Fa-fXx@#{][^)]{0,80}[ \t]\)"
        ),
        "blanks of a tag stand around its comma alone",
    ),
    (re.compile(r"\([0-9A-Fa-fXx@#]{1,8}[,)]"), "a tag is written (gggg,eeee) or (gggg,{CREATOR}ee)"),
    (re.compile(r"'"), 'strings stand in double quotes ("...")'),
    (re.compile(r"-0|0[\d.]"), "a number is 0, or begins with another digit"),
    (re.compile(r"-?\d{1,40}[A-Za-z_]"), "a name doesn't begin with a digit"),
)
"""Mistakes that are often made, by what stands where the script can't be read on."""
_TAG_START: Final = re.compile(r"\([0-9A-Fa-fXx@#]{4}[ \t]{0,20},")
_IF_END: Final = re.compile(r"(?<![A-Za-z0-9_])(?:else)?if[ \t]*\Z")
RESERVED: Final = frozenset({
    "if", "elseif", "else", "describe", "hidden", "const", "immutable", "export", "echo", "removeAllPrivateTags",
    "version",
})  # fmt: skip
_STRING_START: Final = re.compile(r'"(?:[^"\\\r\n]|\\[nrtbf()\\]|\\[0-7]{3})*')


def parse_script(text: str, name: str = "The script") -> Script:
    """Read a script; `name` is how messages call it. Raises ScriptRefused."""
    text = text.removeprefix("\N{BYTE ORDER MARK}")
    if len(text.encode("utf-8", "replace")) > MAX_BYTES:
        raise ScriptRefused(name, 1, 1, "the script is longer than 64 KB")
    return _Reader(name, read_source(text)).read(text)


@lru_cache(maxsize=1)
def load_parser() -> Lark:
    """The parser, by the tables that were saved of it; made of the grammar where another lark has made these."""
    from lark import Lark

    with open(TABLES, "rb") as file:
        if file.readline() == tables_header():
            return Lark.load(file)
    return build_parser()


def tables_header() -> bytes:
    """What saved tables begin with: of which grammar they are, and which lark can read them."""
    from lark import __version__

    return f"{__version__} {sha256(_read_grammar().encode()).hexdigest()}\n".encode()


def build_parser() -> Lark:
    """The parser, made of the grammar: it takes readers longer than anything else that they load."""
    from lark import Lark

    return Lark(_read_grammar(), parser="lalr", lexer="contextual", maybe_placeholders=True, propagate_positions=True)


def _read_grammar() -> str:
    return read_beside(__file__, "grammar.lark")


def why_never_set(tags: Sequence[int | None]) -> str:
    """Why nothing is set at a path of these tags, since no data set has such elements; "" where it is.

    None stands for a level and for a group with a wildcard: such a path makes no element.
    """
    for tag in tags:
        if tag is not None and tag >> 16 in _NEVER_SET:
            return _NEVER_SET[tag >> 16]
        if tag is not None and tag >> 16 == _META_GROUP and len(tags) > 1:
            return "elements of group 0002 stand in the meta information alone, in no item and with none"
    return ""


class _Reader:
    """Reads one script."""

    def __init__(self, name: str, source: Source) -> None:
        self.name = name
        self.source = source
        self.count = 0

    def read(self, text: str) -> Script:
        version = self._read_version()
        statements = cast("list[Tree[Token]]", self._parse().children)
        return Script(self.name, text, version, self._statements(statements[1:]))

    def _read_version(self) -> str:
        """The version, before all else: a script of another language has more that can't be read."""
        text = self.source.text
        match = _VERSION_STATEMENT.match(text)
        if match is None:
            self._refuse(
                len(text) - len(text.lstrip()) if text.strip() else 0,
                "the script has no version",
                'The first statement is version "6.0" to version "6.9", as version "6.6".',
            )
        version = match[1]
        if version is not None and _VERSION.fullmatch(version) is None:
            self._refuse(
                match.start(1) - 1,
                "that version isn't supported",
                "Supported are 6.0 to 6.9."
                + (" Scripts of DicomEdit 4 have to be written anew for 6." if version.startswith("4") else ""),
            )
        return version or ""

    def _parse(self) -> Tree[Token]:
        from lark import UnexpectedCharacters, UnexpectedEOF, UnexpectedToken

        too_deep = find_too_deep(self.source.text)
        if too_deep is not None:
            self._refuse(too_deep, "too many levels of brackets are open")
        try:
            return load_parser().parse(self.source.text)
        except UnexpectedToken as error:
            at = error.token.start_pos
            is_end = error.token.type == "$END" or at is None
            offset = len(self.source.text.rstrip()) if is_end or at is None else at
            self._unexpected(offset, error.accepts or error.expected, _last(error.token_history), is_end=is_end)
        except UnexpectedCharacters as error:
            self._unexpected(error.pos_in_stream or 0, error.allowed or set(), _last(error.token_history))
        except UnexpectedEOF as error:
            self._unexpected(len(self.source.text.rstrip()), error.expected, is_end=True)

    def _refuse(self, offset: int, what: str, remedy: str = "") -> NoReturn:
        line, column = self.source.place(offset)
        raise ScriptRefused(self.name, line, column, what, remedy)

    def _unexpected(
        self, offset: int, expected: Iterable[str], before: Token | None = None, *, is_end: bool = False
    ) -> NoReturn:
        text = self.source.text
        may_stand = f"Here may stand {_list(_describe(set(expected)))}."
        if is_end:
            self._refuse(offset, "the script ends too early", may_stand)
        if text[offset] == '"':
            end = cast("re.Match[str]", _STRING_START.match(text, offset)).end()
            if text[end : end + 1] == "\\":
                self._refuse(
                    end,
                    "a backslash in a string stands before n r t b f ( ) \\ or three octal digits",
                    r"For the pattern \d write \\d. A double quote can't stand in a string.",
                )
            if text[end : end + 1] != '"':
                self._refuse(offset, "a string isn't closed on its line", 'Close it by ".')
        if before is not None and before.type == "ID" and before in RESERVED:
            self._refuse(_start(before), f"{before} can't stand here")
        opened = text.rfind("(", max(0, offset - 6), offset)
        if opened >= 0 and _TAG_START.match(text, opened) and _IF_END.search(text[max(0, opened - 30) : opened]):
            self._refuse(opened, "a condition stands in parentheses: if (...) {")
        for mistake, what in _MISTAKES:
            if mistake.match(text, offset):
                self._refuse(offset, what, may_stand)
        if text[offset] in "\r\n":
            self._refuse(offset, "the line ends too early", may_stand)
        piece = re.compile(r"[A-Za-z0-9_]{1,40}|[:?!][=~]|\S").match(text, offset)
        self._refuse(offset, f"{piece[0] if piece else 'that'} can't stand here", may_stand)

    # Statements

    def _statements(self, trees: list[Tree[Token]]) -> tuple[Statement, ...]:
        return tuple(statement for tree in trees for statement in self._statement(tree))

    def _statement(self, tree: Tree[Token]) -> tuple[Statement, ...]:
        """A statement as none or one: documentation has no effect."""
        at = tree.meta.start_pos
        self.count += 1
        if self.count > MAX_STATEMENTS:
            self._refuse(at, f"the script has more than {MAX_STATEMENTS:,} statements")
        line = self.source.place(at)[0]
        if tree.data == "version":
            self._refuse(at, "a version stands in the first statement alone")
        if tree.data in {"describe", "export"}:
            self._name(cast("Token", tree.children[0]))
            return ()
        if tree.data == "remove_private":
            return (RemovePrivate(line),)
        if tree.data == "conditional":
            condition, *actions = cast("list[Any]", tree.children)
            chosen, *otherwise = [self._statement(action) for action in actions if action is not None]
            case = self._condition(condition), chosen
            return (Branch(line, (case,), otherwise[0] if otherwise else ()),)
        if tree.data == "if_block":
            return (self._if_block(line, tree),)
        return (self._action(line, tree),)

    def _if_block(self, line: int, tree: Tree[Token]) -> Branch:
        """Keywords, conditions and blocks stand in one row."""
        from lark import Tree as LarkTree

        parts = [part for part in tree.children if isinstance(part, LarkTree)]
        cases: list[tuple[Condition, tuple[Statement, ...]]] = []
        otherwise: tuple[Statement, ...] = ()
        condition: Condition | None = None
        for part in parts:
            if part.data != "block":
                condition = self._condition(part)
            elif condition is None:
                otherwise = self._statements(cast("list[Tree[Token]]", part.children))
            else:
                cases.append((condition, self._statements(cast("list[Tree[Token]]", part.children))))
                condition = None
        return Branch(line, tuple(cases), otherwise)

    def _action(self, line: int, tree: Tree[Token]) -> Statement:
        children = cast("list[Any]", tree.children)
        if tree.data == "assign":
            return Assign(line, self._settable(children[0]), self._value(children[1]))
        if tree.data == "assign_present":
            return AssignPresent(line, self._settable(children[0]), self._value(children[1]))
        if tree.data == "set_variable":
            return SetVariable(line, self._name(children[0]), self._value(children[1]))
        if tree.data == "delete":
            return Delete(line, self._target(children[1]))
        if tree.data == "echo":
            return Echo(line, None if children[1] is None else self._value(children[1]))
        return CallStatement(line, self._call(children[0]))

    def _condition(self, tree: Tree[Token]) -> Condition:
        if tree.data == "call":
            return self._call(tree)
        left, operator, right = cast("list[Any]", tree.children)
        value = self._value(right)
        if "~" in operator:
            self._check_pattern(value, _offset(right))
        return Comparison(self._value(left), cast("Any", str(operator)), value)

    # Values

    def _value(self, tree: Tree[Token]) -> Value:
        children = cast("list[Any]", tree.children)
        if tree.data == "number":
            return Text(str(children[0]))
        if tree.data == "string":
            return Text(str(children[0])[1:-1].replace("\\\\", "\\"))
        if tree.data == "variable":
            return Variable(self._name(children[0]))
        if tree.data == "list":
            return ListValue(tuple(self._value(child) for child in children if child is not None))
        if tree.data == "call":
            return self._call(tree)
        return self._path(tree)

    def _name(self, token: Token) -> str:
        if token in RESERVED:
            self._refuse(_start(token), f"{token} is a word of the language, and no name")
        return str(token)

    def _call(self, tree: Tree[Token]) -> Call:
        token, *arguments = cast("list[Any]", tree.children)
        name = self._name(token)
        if name in REFUSED:
            self._refuse(_start(token), REFUSED[name])
        if name not in FUNCTIONS:
            from difflib import get_close_matches

            near = get_close_matches(name, FUNCTIONS, 1) or get_close_matches(
                name.lower(), [*map(str.lower, FUNCTIONS)], 1
            )
            by_lower = {known.lower(): known for known in FUNCTIONS}
            hint = f"Did you mean {by_lower[near[0].lower()]}? " if near else ""
            self._refuse(
                _start(token),
                f"there is no function {name[:60]}",
                f"{hint}Functions are {', '.join(sorted(FUNCTIONS))}.",
            )
        values = [self._value(argument) for argument in arguments if argument is not None]
        if name in CHANGES_PATHS:
            for value in values[:1] if name in {"set", "delete"} else values:
                self._check_changes(name, value, _start(token))
        if name in {"match", "ismatch"} and len(values) > 1:
            self._check_pattern(values[1], _offset(arguments[1]), is_search=name == "match")
        return Call(name, tuple(values))

    def _target(self, tree: Tree[Token]) -> Path:
        path = self._path(tree)
        self._check_tag(path.last_plain_tag, tree.meta.start_pos)
        return path

    def _settable(self, tree: Tree[Token]) -> Path:
        path = self._target(tree)
        tags = [
            step.tag.value if isinstance(step, TagStep) and step.tag.mask >> 16 == _WHOLE_GROUP else None
            for step in path.steps
        ]
        self._check_settable(tags, tree.meta.start_pos)
        return path

    def _check_settable(self, tags: Sequence[int | None], offset: int) -> None:
        reason = why_never_set(tags)
        if reason:
            self._refuse(offset, reason)

    def _path(self, tree: Tree[Token]) -> Path:
        steps: list[Step] = []
        for step in cast("list[Tree[Token]]", tree.children):
            token = cast("Token", step.children[0])
            if step.data == "level_step":
                steps.append(LevelStep(cast("Any", str(token))))
                continue
            item = cast("Token | None", step.children[1])
            steps.append(TagStep(read_tag(str(token)), None if item is None else self._item(item)))
        if len(steps) > MOST_STEPS:
            self._refuse(tree.meta.start_pos, f"a path has more than {MOST_STEPS} steps")
        return Path(tuple(steps), re.sub(r"[ \t]+", " ", self.source.text[tree.meta.start_pos : tree.meta.end_pos]))

    def _item(self, token: Token) -> int:
        if token.type == "ANY":
            return ANY_ITEM
        if not token.isdecimal() or int(token) > MOST_ITEMS:
            self._refuse(_start(token), f"the number of an item is 0 to {MOST_ITEMS}", "Or it is %, for every item.")
        return int(token)

    def _check_changes(self, name: str, value: Value, offset: int) -> None:
        """Refuse a call that changes what says how an object is written, as far as its text tells."""
        if isinstance(value, ListValue):
            for inner in value.values:
                self._check_changes(name, inner, offset)
        elif isinstance(value, Path):
            self._check_tag(value.last_plain_tag, offset)
        elif isinstance(value, Text):
            try:
                if name not in {"set", "delete"}:
                    self._check_tag(read_path(value.text).last_plain_tag, offset)
                    return
                tags = [tag for tag, _ in read_direct(value.text)]
            except PathError:
                return  # where it is reached, the object fails
            self._check_tag(tags[-1], offset)
            if name == "set":
                self._check_settable(tags, offset)

    def _check_tag(self, tag: int | None, offset: int) -> None:
        if tag in PROTECTED:
            self._refuse(offset, PROTECTED[tag])

    def _check_pattern(self, value: Value, offset: int, *, is_search: bool = False) -> None:
        """Refuse a pattern that Java has and that isn't run here. One that is none fails the object, as in Java."""
        if not isinstance(value, Text):
            return
        try:
            compile_pattern(value.text, is_search=is_search)
        except PatternUnsupported as error:
            self._refuse(offset, str(error))
        except PatternError:
            return


def _last(tokens: list[Token] | None) -> Token | None:
    return tokens[-1] if tokens else None


def _start(token: Token) -> int:
    return token.start_pos or 0


def _offset(tree: Tree[Token]) -> int:
    return getattr(tree.meta, "start_pos", 0)


def _describe(expected: set[str]) -> list[str]:
    """What may stand somewhere, from names of terminals."""
    words, rest = [], set(expected)
    for group, word in ((_STATEMENT, "a statement"), (_VALUE, "a value"), (_ACTION, "an action"), (_PATH, "a path")):
        if group <= expected and not group <= expected - rest:
            words.append(word)
            rest -= group
    if {"PUBLIC_TAG", "PRIVATE_TAG"} & rest:
        words.append("a tag")
    patterns = {terminal.name: terminal.pattern.value for terminal in load_parser().terminals}
    words.extend(_NAMES.get(name) or patterns.get(name, name) for name in sorted(rest - _PATH))
    return words


def _list(words: list[str]) -> str:
    if not words:
        return "nothing"
    return " or ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]

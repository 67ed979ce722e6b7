"""By which rules a file is de-identified for who tries them: those in force, with a script that is typed."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from scandock.model.dataclass import dataclass
from scandock.model.json_records import JsonRecord
from scandock.rules.privacy import PrivacyRules
from scandock.services.privacy_in_force import load_privacy
from scandock.services.privacy_key import KEY_BYTES
from scandock.services.privacy_scripts import check_may_edit

if TYPE_CHECKING:
    from scandock.services.context import ServiceContext


@dataclass(frozen=True, kw_only=True)
class ScriptCheck(JsonRecord):
    """Whether a script can be read, and where it can't."""

    ok: bool
    line: Annotated[int, Field(description="From 1; 0 where the script can be read")]
    column: Annotated[int, Field(description="From 1; 0 where the script can be read")]
    message: str
    remedy: str


@dataclass(frozen=True, kw_only=True)
class TriedRow(JsonRecord):
    """An element of the file, before and after."""

    path: Annotated[str, Field(description="The element, below items of sequences as (0040,0275)[0]/(0008,0050)")]
    name: Annotated[str, Field(description="Its keyword; empty where it has none")]
    vr: str
    before: str
    after: str
    change: Annotated[str, Field(description="same, changed, removed or added")]


@dataclass(frozen=True, kw_only=True)
class TriedStatement(JsonRecord):
    """A statement of a script that was run."""

    NESTED = ("effects",)

    script: Annotated[str, Field(description="Whose script it is of: site or project")]
    line: int
    echo: Annotated[list[str], Field(description="What echo said within it, or before it")]
    effects: Annotated[list[TriedRow] | None, Field(description="What it changed; null where it is not told")]


@dataclass(frozen=True, kw_only=True)
class TriedNotice(JsonRecord):
    code: str
    message: str


@dataclass(frozen=True, kw_only=True)
class ScriptTest(JsonRecord):
    """What an import would make of a file."""

    NESTED = ("warnings", "statements", "rows")

    outcome: Annotated[str, Field(description="scrubbed, rejected or failed")]
    code: Annotated[str, Field(description="Of a file that is rejected or failed")]
    message: str
    milliseconds: Annotated[float, Field(description="What the rules took for it")]
    warnings: list[TriedNotice]
    statements: list[TriedStatement]
    rows: Annotated[list[TriedRow], Field(description="Every element, of a file that was de-identified")]


@dataclass(frozen=True, slots=True)
class RulesToTry:
    """Rules, and whose scripts they have in their order."""

    rules: PrivacyRules
    owners: tuple[str, ...]

    def read_result(self, answer: dict[str, Any]) -> ScriptTest:
        """What the process that tried them has answered."""
        names = dict(zip(_script_names(len(self.owners)), self.owners, strict=True))
        message = str(answer.get("message", ""))
        for name, owner in names.items():
            message = message.replace(f"{name}, line", f"The {owner}'s script, line")
        return ScriptTest(
            outcome=answer["outcome"],
            code=answer.get("code", ""),
            message=message,
            milliseconds=answer.get("milliseconds", 0.0),
            warnings=[TriedNotice(**one) for one in answer.get("warnings", ())],
            statements=[
                TriedStatement(
                    script=names.get(one["script"], one["script"]),
                    line=one["line"],
                    echo=one["echo"],
                    effects=None if one["effects"] is None else [TriedRow(**row) for row in one["effects"]],
                )
                for one in answer.get("statements", ())
            ],
            rows=[TriedRow(**row) for row in answer.get("rows", ())],
        )


def check_script(text: str) -> ScriptCheck:
    """Whether a script can be read; an empty one can."""
    from scandock.deidentification.script.errors import ScriptRefused
    from scandock.deidentification.script.parser import parse_script

    try:
        if text.strip():
            parse_script(text.replace("\r\n", "\n"))
    except ScriptRefused as refused:
        return ScriptCheck(
            ok=False, line=refused.line, column=refused.column, message=refused.message, remedy=refused.remedy
        )
    return ScriptCheck(ok=True, line=0, column=0, message="", remedy="")


def find_rules_to_try(context: ServiceContext, project_name: str | None, script: str | None) -> RulesToTry:
    """The rules in force for the site or a project, with `script` in the place of its own one where it is given.

    Where the site has no key yet, UIDs and dates follow from one that is thrown away. AccessDenied; Usage
    `script_refused`, `privacy_key`.
    """
    if script is not None and script.strip():
        from scandock.deidentification.script.parser import parse_script

        parse_script(script.replace("\r\n", "\n"))
    with context.catalog.read() as connection:
        check_may_edit(connection, context.principal, project_name)
        privacy = load_privacy(connection, context.store.path, context.settings)
    if privacy is None:
        rules = PrivacyRules(key=secrets.token_bytes(KEY_BYTES))
    else:
        rules = privacy.site if project_name is None else privacy.of(project_name)
    site_scripts = privacy.site.scripts if privacy is not None and project_name is not None else ()
    own = rules.scripts[len(site_scripts) :] if script is None else (script,) if script.strip() else ()
    owners = ("site",) * len(site_scripts) + (("site",) if project_name is None else ("project",)) * len(own)
    return RulesToTry(replace(rules, scripts=(*site_scripts, *own)), owners)


def _script_names(count: int) -> list[str]:
    """What the process calls scripts (`workers.scrub_task.parse_privacy_rules`)."""
    return ["The script"] if count == 1 else [f"Script {number}" for number in range(1, count + 1)]

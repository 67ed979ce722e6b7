"""What is said of a thing, by name: members of the texts of JSON that rows keep (`session.attributes`)."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Text, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


class attribute(FunctionElement[str]):  # noqa: N801  reads as a function in queries
    """A member of a text that holds a JSON object, as text: `attribute(session.c.attributes, "date")`."""

    type = Text()
    inherit_cache = True

    def __init__(self, column: ColumnElement[Any], name: str) -> None:
        super().__init__(column, literal(name))


@compiles(attribute)
def _compile(element: Any, compiler: Any, **more: Any) -> str:  # noqa: ANN401  SQLAlchemy's own types
    column, name = (compiler.process(clause, **more) for clause in element.clauses)
    document = f"CAST({column} AS JSON)" if compiler.dialect.name == "postgresql" else column
    return f"({document} ->> {name})"

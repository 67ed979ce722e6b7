"""The small parts that schemas are made of (JSON Schema 2020-12, as OpenAPI 3.1 has it)."""

from __future__ import annotations

from typing import Any, Final

OpenApiObject = dict[str, Any]
"""An object of the description: whatever OpenAPI lets one have."""
Schema = OpenApiObject
"""A JSON Schema."""
Responses = dict[int | str, OpenApiObject]
"""What FastAPI takes as a route's `responses`: answers by their status."""

TEXT: Final[Schema] = {"type": "string"}
MAYBE_TEXT: Final[Schema] = {"type": ["string", "null"]}
WHOLE: Final[Schema] = {"type": "integer"}
TRUTH: Final[Schema] = {"type": "boolean"}
BINARY: Final[Schema] = {"type": "string", "format": "binary"}


def shape(description: str, properties: dict[str, Schema], *, optional: tuple[str, ...] = ()) -> Schema:
    """An object whose keys are always there but for the `optional` ones; a later version may have more of them."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "description": description, "properties": properties, "required": required}


def ref(name: str) -> Schema:
    """A schema by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def many(schema: Schema) -> Schema:
    """A list of it."""
    return {"type": "array", "items": schema}


def one_of(*values: str) -> Schema:
    """One of these texts."""
    return {"type": "string", "enum": list(values)}


def items(schema: Schema) -> Schema:
    """A list's answer."""
    return shape("A list", {"items": many(schema)})

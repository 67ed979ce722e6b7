"""What the API's description says of answers, in few words, so that two descriptions can be compared.

    python -m tests.unit.web.described_surface > tests/unit/web/described_surface.json

writes what is said now: only where the API itself has changed. Names of components that the recorded surface does not
have, titles, and the order of keys are not compared.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

RECORDED = Path(__file__).with_suffix(".json")
LIST = "List"
PAGE = "Page"
"""Ends of names of components that are lists of another one: their name is no part of the surface."""


def surface(document: Mapping[str, Any], named: Collection[str] | None = None) -> dict[str, dict[str, Any]]:
    """Operations with their answers, and the objects of those names (of all that are no lists) with their keys."""
    components = document["components"]["schemas"]
    names = [one for one in components if not one.endswith((LIST, PAGE))] if named is None else named
    known = sorted(name for name in names if name in components)
    return {
        "objects": {name: _keys(components[name], components, known) for name in known},
        "operations": {
            f"{method.upper()} {path}": _operation(operation, components, known)
            for path, operations in document["paths"].items()
            for method, operation in operations.items()
        },
    }


def _operation(operation: Mapping[str, Any], components: Mapping[str, Any], known: Collection[str]) -> dict[str, Any]:
    parameters = {
        f"{one['in']} {one['name']}": ("" if one["required"] else "maybe ") + _text(one["schema"], components, known)
        for one in operation.get("parameters", ())
    }
    answers = {
        f"{status} {kind}".strip(): _text(content.get("schema", {}), components, known)
        for status, answer in operation["responses"].items()
        for kind, content in (answer.get("content") or {"": {}}).items()
    }
    headers = [name for answer in operation["responses"].values() for name in answer.get("headers", {})]
    who = " or ".join("+".join(sorted(way)) or "anybody" for way in operation["security"])
    return {"asks": parameters, "answers": answers, "headers": ", ".join(sorted(set(headers))), "who": who}


def _keys(schema: Mapping[str, Any], components: Mapping[str, Any], known: Collection[str]) -> dict[str, str]:
    """Keys of an object, with ? where they may be left out."""
    required = schema.get("required", ())
    return {
        name if name in required else f"{name}?": _told(one, components, known)
        for name, one in schema.get("properties", {}).items()
    }


def _told(schema: Mapping[str, Any], components: Mapping[str, Any], known: Collection[str]) -> str:
    said = schema.get("description", "")
    return _text(schema, components, known) + (f"; {said}" if said else "")


def _text(schema: Mapping[str, Any], components: Mapping[str, Any], known: Collection[str]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return name if name in known else _text(components[name], components, known)
    if "anyOf" in schema:
        return _either({_text(one, components, known) for one in schema["anyOf"]})
    kinds = schema.get("type", "any")
    if isinstance(kinds, list):
        return _either({_text({**schema, "type": kind}, components, known) for kind in kinds})
    if "enum" in schema or "const" in schema:
        return f"{kinds}({', '.join(sorted(str(one) for one in schema.get('enum', [schema.get('const')])))})"
    if kinds == "array":
        return f"[{_text(schema.get('items', {}), components, known)}]"
    if kinds == "object" and "properties" in schema:
        keys = sorted(_keys(schema, components, known).items())
        return "{" + ", ".join(f"{name}: {text}" for name, text in keys) + "}"
    if kinds == "object":
        more = schema.get("additionalProperties", True)
        return "{*: " + _text({} if more is True else more, components, known) + "}"
    return f"{kinds}:{schema['format']}" if "format" in schema else str(kinds)


def _either(texts: Collection[str]) -> str:
    return " | ".join(sorted(texts, key=lambda one: (one == "null", one)))


def now() -> dict[str, Any]:
    """The description that this code gives."""
    from scandock.services.settings import load_settings
    from scandock.web.app import create_app

    with tempfile.TemporaryDirectory() as folder:
        return create_app(folder, load_settings()).openapi()


if __name__ == "__main__":
    json.dump(surface(now()), sys.stdout, indent=1, sort_keys=True)
    sys.stdout.write("\n")

"""Validation of custom resources against `tests/kubernetes/crds`, the way an API server validates with
`fieldValidation=Strict`: unknown fields are errors.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Final

import jsonschema
import yaml

Schema = dict[str, Any]

FOLDER: Final = Path(__file__).parent.parent / "kubernetes/crds"


@cache
def definitions() -> dict[tuple[str, str], Schema]:
    """Schemas by API version and kind, for example `("keda.sh/v1alpha1", "ScaledObject")`."""
    found: dict[tuple[str, str], Schema] = {}
    for path in sorted(FOLDER.glob("*.yaml")):
        for crd in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            spec = crd["spec"]
            for version in spec["versions"]:
                key = (f"{spec['group']}/{version['name']}", spec["names"]["kind"])
                found[key] = _strict(version["schema"]["openAPIV3Schema"])
    return found


def validate(manifest: dict[str, Any]) -> None:
    """Raise `jsonschema.ValidationError` at the first fault, `KeyError` for a kind without a schema."""
    jsonschema.validate(manifest, definitions()[manifest["apiVersion"], manifest["kind"]])


def _strict(schema: Schema, *, metadata: bool = False) -> Schema:
    """Return the schema as JSON schema. Only `metadata`, which the API server itself defines, is open."""
    strict = {key: value for key, value in schema.items() if not key.startswith("x-kubernetes-") and key != "format"}
    if "properties" in schema:
        strict["properties"] = {
            name: _strict(part, metadata=name == "metadata") for name, part in schema["properties"].items()
        }
        strict["additionalProperties"] = False
    elif schema.get("type") == "object" and "additionalProperties" not in schema and not metadata:
        strict["additionalProperties"] = False
    if "items" in schema:
        strict["items"] = _strict(schema["items"])
    return strict

"""The JSON Schema of manifest.json, from the types that write it and the tables of docs/reference/cache.md."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec

from imgcache.manifest import ManifestEntry
from imgcache.manifest.document import VERSION

_ROW = re.compile(r"^\| `(\w+)` \| (?:yes|no) \| (.*) \|$", re.MULTILINE)
_PATTERNS = {"digest": "^[0-9a-f]{64}$", "color": "^#[0-9a-f]{6}$"}


def schema(page: Path) -> dict[str, Any]:
    """Returns the JSON Schema of manifest.json. `page` says what its keys mean."""
    meanings = dict(_ROW.findall(page.read_text(encoding="utf-8")))
    _, components = msgspec.json.schema_components([ManifestEntry], ref_template="#/$defs/{name}")
    for component in components.values():
        for name, part in component["properties"].items():
            part["description"] = meanings[name].replace("`", "")
            if name in {"width", "height", "frames"}:
                part["minimum"] = 1
            if name in _PATTERNS:
                part["pattern"] = _PATTERNS[name]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "manifest.json of an imgcache cache",
        "type": "object",
        "properties": {
            "version": {"const": VERSION},
            "images": {"type": "object", "additionalProperties": {"$ref": "#/$defs/ManifestEntry"}},
        },
        "required": ["version", "images"],
        "$defs": components,
    }

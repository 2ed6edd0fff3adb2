"""docs/reference/cache.md: the cache folder and manifest.json, and the JSON Schema of manifest.json."""

from __future__ import annotations

from typing import Any

import msgspec

from imgcache.manifest import ManifestEntry
from imgcache.manifest.document import VERSION, ManifestVariant

_DIGEST = "^[0-9a-f]{64}$"
_COLOR = "^#[0-9a-f]{6}$"
_MEANINGS = {
    "digest": "SHA-256 of the original, in hex.",
    "media_type": "The media type of the original.",
    "width": "The width as shown, after EXIF orientation, in pixels.",
    "height": "The height as shown, in pixels.",
    "bytes": "The size of the file, in bytes.",
    "color": "The dominant colour, `#rrggbb`.",
    "placeholder": "A data URI of at most 400 bytes to show until the image is loaded.",
    "original": "The path of the original, relative to the cache folder.",
    "variants": "The smaller versions.",
    "robots_tag": "The `X-Robots-Tag` of the image, where its server sent one.",
    "frames": "The number of frames; absent where it is 1.",
    "name": "The name of the variant in imgcache.yml.",
    "format": "The format: `webp`, `avif`, `jpeg`, `png` or `gif`.",
    "path": "The path of the file, relative to the cache folder.",
}
_PAGE = """\
# The cache folder

```text
cache/assets/ab/abcd…/original.jpg, thumb.jpg, w320.webp, …
cache/manifest.json
cache/index/
```

| path | what it is | may others read it? |
|---|---|---|
| `assets/` | The original and the variants of each image, in a folder named after the SHA-256 of the original. A file never changes once it is written, so that any web server or CDN can serve it for good. | yes |
| `manifest.json` | Which image is held under which URL, and its files. Replaced in one step. | yes |
| `index/` | Records of runs, failures and articles. Their form changes between versions. | no |

`assets/` and `manifest.json` can be copied or mounted without the rest. [Moving a cache](../how-to/move-a-cache.md) says
what to keep; [`imgcache verify`](commands.md#imgcache-verify) compares all of it.

## manifest.json

`{"version": VERSION, "images": {URL: IMAGE}}`, sorted by URL, one image on a line. A URL is the one that the articles
have. A later version may add keys; programs ignore those they do not know. Its
[JSON Schema](../schema/manifest.schema.json) describes it for programs.
"""


def page() -> str:
    """Returns the page."""
    lines = [_PAGE.replace("VERSION,", f"{VERSION},")]
    for title, struct in (("An image", ManifestEntry), ("A variant", ManifestVariant)):
        required = {field.encode_name for field in msgspec.structs.fields(struct) if field.required}
        lines += [f"### {title}", "", "| key | always there | meaning |", "|---|---|---|"]
        for field in msgspec.structs.fields(struct):
            name = field.encode_name
            lines.append(f"| `{name}` | {'yes' if name in required else 'no'} | {_MEANINGS[name]} |")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def schema() -> dict[str, Any]:
    """Returns the JSON Schema of manifest.json, from the types that write it."""
    _, components = msgspec.json.schema_components([ManifestEntry], ref_template="#/$defs/{name}")
    for component in components.values():
        for name, part in component["properties"].items():
            part["description"] = _MEANINGS[name].replace("`", "")
            if name in {"width", "height", "frames"}:
                part["minimum"] = 1
            if pattern := {"digest": _DIGEST, "color": _COLOR}.get(name):
                part["pattern"] = pattern
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

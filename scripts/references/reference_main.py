"""`scripts/reference`: docs/schema/ and parts of pages of docs/, written from the code.

What stands above the line _WRITTEN on a page is written by hand.
"""

from __future__ import annotations

import json
from pathlib import Path

import reference_codes
import reference_commands
import reference_manifest
import reference_manual
import reference_modules
import reference_python
import reference_settings

ROOT = Path(__file__).resolve().parents[2]
_WRITTEN = "<!-- What follows is written by scripts/reference. -->\n"


def pages() -> dict[Path, str]:
    """Returns the text of every file that is generated, or a part of which is."""
    reference, schema = ROOT / "docs" / "reference", ROOT / "docs" / "schema"
    texts = reference_settings.Texts.of(reference / "configuration.yml")
    parts = {
        reference / "commands.md": reference_commands.page(),
        reference / "configuration.md": reference_settings.page(texts),
        reference / "problems.md": reference_codes.page(reference / "problems.yml"),
        reference / "python.md": reference_python.page(),
        ROOT / "docs" / "modules.md": reference_modules.page(ROOT / "imgcache"),
    }
    schemas = {
        "imgcache": reference_settings.schema(texts),
        "manifest": reference_manifest.schema(reference / "cache.md"),
    }
    found = {path: _filled(path, text) for path, text in parts.items()}
    found |= {ROOT / "docs" / "man" / name: text for name, text in reference_manual.pages().items()}
    for name, value in schemas.items():
        found[schema / f"{name}.schema.json"] = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    return found


def _filled(page: Path, text: str) -> str:
    above, line, _ = page.read_text(encoding="utf-8").partition(_WRITTEN)
    return f"{above}{line}\n{text}"


def main() -> None:
    """Write the files that are old."""
    for path, text in pages().items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()

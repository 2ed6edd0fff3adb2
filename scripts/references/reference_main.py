"""`scripts/reference`: docs/schema/ and parts of docs/reference/, written from the code. `--check` only compares.

What stands above the line _WRITTEN on a page is written by hand.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import reference_codes
import reference_commands
import reference_manifest
import reference_python
import reference_settings

ROOT = Path(__file__).resolve().parents[2]
_WRITTEN = "<!-- What follows is written by scripts/reference. -->\n"


def pages() -> dict[Path, str]:
    """Returns the text of every file that is generated, or a part of which is."""
    reference, schema = ROOT / "docs" / "reference", ROOT / "docs" / "schema"
    texts = reference_settings.Texts.of(reference / "configuration.yml")
    parts = {
        "commands": reference_commands.page(),
        "configuration": reference_settings.page(texts),
        "problems": reference_codes.page(reference / "problems.yml"),
        "python": reference_python.page(),
    }
    schemas = {
        "imgcache": reference_settings.schema(texts),
        "manifest": reference_manifest.schema(reference / "cache.md"),
    }
    found = {reference / f"{name}.md": _filled(reference / f"{name}.md", text) for name, text in parts.items()}
    for name, value in schemas.items():
        found[schema / f"{name}.schema.json"] = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    return found


def _filled(page: Path, text: str) -> str:
    above, line, _ = page.read_text(encoding="utf-8").partition(_WRITTEN)
    return f"{above}{line}\n{text}"


def main() -> int:
    """Write the files, or with `--check` name those that are old."""
    found = pages()
    old = [path for path, text in found.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if "--check" in sys.argv:
        for path in old:
            print(f"{path.relative_to(ROOT)} is old: run scripts/reference", file=sys.stderr)
        return 1 if old else 0
    for path in old:
        path.write_text(found[path], encoding="utf-8")
        print(path.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())

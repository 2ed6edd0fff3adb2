"""`scripts/reference`: docs/reference/ and docs/schema/, written from the code. `--check` only compares."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import reference_cache
import reference_codes
import reference_commands
import reference_endpoint
import reference_environment
import reference_manual
import reference_python
import reference_settings

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


def pages() -> dict[Path, str]:
    """Returns the text of every file that is generated."""
    reference, schema = DOCS / "reference", DOCS / "schema"
    manual = {DOCS / "man" / name: text for name, text in reference_manual.pages().items()}
    return manual | {
        reference / "commands.md": reference_commands.page(),
        reference / "configuration.md": reference_settings.page(),
        reference / "environment.md": reference_environment.page(),
        reference / "problems.md": reference_codes.page(),
        reference / "http.md": reference_endpoint.page(),
        reference / "cache.md": reference_cache.page(),
        reference / "python.md": reference_python.page(),
        schema / "imgcache.schema.json": json.dumps(reference_settings.schema(), indent=2, ensure_ascii=False) + "\n",
        schema / "manifest.schema.json": json.dumps(reference_cache.schema(), indent=2, ensure_ascii=False) + "\n",
    }


def main() -> int:
    """Write the files, or with `--check` name those that are old."""
    found = pages()
    old = [path for path, text in found.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if "--check" in sys.argv:
        for path in old:
            print(f"{path.relative_to(ROOT)} is old: run scripts/reference", file=sys.stderr)
        return 1 if old else 0
    for path in old:
        path.parent.mkdir(exist_ok=True)
        path.write_text(found[path], encoding="utf-8")
        print(path.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""`scripts/docs`: the site of docs/, built strictly by Zensical, and rewritten by imgcache itself.

The pages are copied first, because links from docs/ to other files of the repository lead to its address in the site.
"""

from __future__ import annotations

import os
import posixpath
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
BIN = Path(sys.executable).parent
_LINK = re.compile(r"(?<=\]\()([^)#\s:]+)(?=[)#])")


def main() -> int:
    """Build the site into build/docs, or into the folder that is named."""
    site = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build" / "docs").resolve()
    source = site.with_name(site.name + "-source")
    shutil.rmtree(source, ignore_errors=True)
    shutil.rmtree(site, ignore_errors=True)
    prepare(source)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("IMGCACHE_")}
    cache = site.with_name(site.name + "-cache")
    for command in (
        [BIN / "zensical", "build", "--strict", "--config-file", source / "mkdocs.yml"],
        [sys.executable, "-m", "imgcache", "rewrite", "--offline", "--cache", cache, source / "site", source],
    ):
        ended = subprocess.run([str(word) for word in command], cwd=source, env=environment, check=False)
        if ended.returncode:
            return ended.returncode
    (source / "site").rename(site)
    print(f"{site}: {sum(1 for _ in site.rglob('*.html'))} pages")
    return 0


def prepare(source: Path) -> None:
    """Copy docs/ to `source`, with links as the site needs them, and the account of `[project.urls]`."""
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]
    shutil.copytree(DOCS, source / "docs", ignore=shutil.ignore_patterns("*.yml"))
    for page in (source / "docs").rglob("*.md"):
        text = page.read_text(encoding="utf-8").replace("OWNER/imgcache", urlsplit(urls["Source"]).path.strip("/"))
        page.write_text(linked(text, page.relative_to(source), urls["Source"]), "utf-8")
    settings = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")  # no repo_url: with it every page asks GitHub's API
    (source / "mkdocs.yml").write_text(f"{settings}site_url: {urls['Documentation']}\n", encoding="utf-8")


def linked(markdown: str, page: Path, repository: str) -> str:
    """Lead links out of docs/ to the repository. `page` is the path of the page in it."""

    def outside(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(page.parent.as_posix(), match[1]))
        if target.startswith("docs/") or not (ROOT / target).exists():
            return match[1]
        return f"{repository}/{'tree' if (ROOT / target).is_dir() else 'blob'}/main/{target}"

    return _LINK.sub(outside, markdown)


if __name__ == "__main__":
    sys.exit(main())

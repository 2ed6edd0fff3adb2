"""Eleventy: `eleventy.config.js` or `.eleventy.js`, as text (https://www.11ty.dev/docs/config/)."""

from __future__ import annotations

import re
from pathlib import Path

from imgcache.scanner.generators.layout import USUAL_MOUNTS, Layout, Mount, address, below, folders
from imgcache.scanner.generators.script import Script, read_script
from imgcache.scanner.generators.settings import folder, read, text
from imgcache.scanner.markup.syntax import LIQUID, Syntax

_MAJOR = re.compile(r"[^\d]*(\d+)")
_INDENTED_CODE_UNTIL = 1  # version 2 turned it off: https://www.11ty.dev/docs/languages/markdown/#indented-code-blocks


def layout(root: Path, file: str) -> Layout:
    """Return the layout of a site of Eleventy. A script does more than its strings say: the usual folders count too."""
    script = read_script(root / (file or "eleventy.config.js"))
    source = folder(_set(script, "Input") or script["dir.input"])
    includes = below(source, _set(script, "Includes") or script["dir.includes"] or "_includes")
    layouts = _set(script, "Layouts") or script["dir.layouts"]
    copied = [
        Mount(folder(key or value), _published(folder(key or value), value if key else "", source))
        for key, value in script.called("addPassthroughCopy")
        if "*" not in (key or value)
    ]
    return Layout(
        site_url=address("", script["pathPrefix"]),
        content=(source,),
        mounts=tuple(dict.fromkeys((*copied, Mount(source), *USUAL_MOUNTS))),
        templates=folders({includes, below(source, layouts) if layouts else includes}),
        nothing=folders({folder(_set(script, "Output") or script["dir.output"], "_site")}),
        syntax=Syntax(calls=(LIQUID,), indented_code=_has_indented_code(root, script)),
    )


def _set(script: Script, name: str) -> str:
    """The folder that `setInputDirectory` and the like are given."""
    return next((value for _, value in script.called(f"set{name}Directory")), "")


def _published(copied: str, target: str, source: str) -> str:
    """Where a passthrough copy goes: to its target, else to its own path below the input folder."""
    if target:
        return folder(target.strip("/"))
    return copied.removeprefix(f"{source}/") if source else copied


def _has_indented_code(root: Path, script: Script) -> bool:
    if ("", "code") in script.called("enable"):
        return True
    package = read(root / "package.json")
    version = next(
        (found for kind in ("dependencies", "devDependencies") if (found := text(package, kind, "@11ty/eleventy"))), ""
    )
    major = _MAJOR.match(version)
    return major is not None and int(major[1]) <= _INDENTED_CODE_UNTIL

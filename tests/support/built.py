"""Built pages for tests, and what a folder holds."""

from __future__ import annotations

from pathlib import Path


def page(*body: str) -> str:
    """A page with these lines in its main content."""
    lines = "\n".join(body)
    return f"<!doctype html><html><head><title>Tides</title></head>\n<body><main>\n{lines}\n</main></body></html>\n"


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, with its bytes."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

"""Where the documentation is published."""

from __future__ import annotations

from importlib import metadata


def documentation_url() -> str:
    """Returns the address of the documentation, as pyproject.toml has it; "" while it does not name the account."""
    entries = dict(entry.split(", ", 1) for entry in metadata.metadata("imgcache").get_all("Project-URL", []))
    url: str = entries.get("Documentation", "")
    return "" if "OWNER" in url else url


def help_url(documentation: str, code: str) -> str:
    """Returns the address of the paragraph that explains a problem or rule; "" without `documentation`."""
    return f"{documentation}reference/problems/#{code}" if documentation else ""

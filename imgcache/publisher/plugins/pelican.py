"""The plugin for Pelican: `PLUGINS = ["imgcache.pelican"]` in pelicanconf.py.

`IMGCACHE` in pelicanconf.py is a dictionary of the options of `imgcache.rewrite`, and of `strict`. Warnings fail a
`pelican --fatal=warnings`.
"""

from __future__ import annotations

import logging
from pathlib import Path

from pelican import Pelican, signals

from imgcache.wiring.after_build import rewrite_build

_logger = logging.getLogger(__name__)


def register() -> None:
    """Register the plugin (https://docs.getpelican.com/en/latest/plugins.html)."""
    signals.finalized.connect(_rewrite)


def _rewrite(pelican: Pelican) -> None:
    """Make the pages that Pelican wrote load local images.

    Raises:
        Error: an option or a setting is wrong, or with `strict` an image or page has a problem.
    """
    settings = pelican.settings
    # Pelican does not keep where pelicanconf.py is; it is usually started in that folder.
    rewrite_build(settings["OUTPUT_PATH"], Path(), settings.get("IMGCACHE", {}), _logger)

"""The plugin for MkDocs: `plugins: [imgcache]` in mkdocs.yml (https://www.mkdocs.org/dev-guide/plugins/).

Its options are those of `imgcache.rewrite`, and `strict`. Warnings fail a `mkdocs build --strict`.
"""

from __future__ import annotations

from pathlib import Path

from mkdocs.config.base import Config
from mkdocs.config.config_options import ListOfItems, Optional, Type
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.plugins import BasePlugin, event_priority, get_plugin_logger

from imgcache.wiring.after_build import rewrite_build
from imgcache.wiring.python_api import Error

_LAST = -100.0  # by convention


class ImgcacheOptions(Config):
    """The options in mkdocs.yml."""

    strict = Type(bool, default=False)
    site = Optional(Type(str))
    check = Type(bool, default=False)
    dry_run = Type(bool, default=False)
    offline = Type(bool, default=False)
    refresh = Type(bool, default=False)
    to = Optional(Type(str))
    assets_url = Optional(Type(str))
    jobs = Optional(Type(int))
    max_time = Optional(Type((int, float, str)))
    max_bytes = Optional(Type((int, str)))
    connect_to = ListOfItems(Type(str), default=[])
    config = Optional(Type(str))
    cache = Optional(Type(str))


class ImgcachePlugin(BasePlugin[ImgcacheOptions]):
    """Makes the built pages load local images."""

    @event_priority(_LAST)
    def on_post_build(self, *, config: MkDocsConfig) -> None:
        """Rewrite the site that was built. MkDocs calls it after the last file is written.

        Raises:
            PluginError: a setting is wrong, or with `strict` an image or page has a problem.
        """
        project = Path(config.config_file_path or "mkdocs.yml").parent
        try:
            rewrite_build(config.site_dir, project, dict(self.config), get_plugin_logger("imgcache"), prefix="")
        except Error as error:
            raise PluginError(str(error)) from error

"""What is known of a site by its generator: its address, its folders, and how its articles are read. Pure."""

from __future__ import annotations

import enum
import posixpath
from collections.abc import Iterable, Sequence

import msgspec

from imgcache.scanner.markup.syntax import Syntax

# Never entered at any depth: repositories, third-party code, output and caches of generators.
NEVER_ENTERED = frozenset({".git", "node_modules", "vendor", "_site", ".jekyll-cache", "_sass"})
# Layouts and includes at any depth: Jekyll and Eleventy know them by these names.
_TEMPLATES = frozenset({"_layouts", "_includes"})
# Files that may call the include, partial or shortcode of imgcache.
TEMPLATE_ENDINGS = (".html", ".htm", ".liquid", ".njk", ".md", ".markdown", ".hbs", ".xml")

SIGNATURE = "Written by imgcache export"  # in the first line of every file that an export writes


class Role(enum.Enum):
    """What a folder holds."""

    ARTICLES = "articles"
    TEMPLATES = "templates"
    NOTHING = "nothing"


class Mount(msgspec.Struct, frozen=True):
    """A folder of the site and the path under which its files are published. Both are without `/` at the ends.

    Attributes:
        folder: relative to the site; "" is the site itself.
        path: relative to the address of the site; or the prefix by which articles name the folder, such as `@site`.
    """

    folder: str
    path: str = ""

    def file(self, path: str) -> str | None:
        """Return the file of the site that a published path names, whether it exists or not; None if it is elsewhere.

        Args:
            path: normal, without `/` at the start.
        """
        if not self.path:
            return posixpath.join(self.folder, path)
        if path.startswith(f"{self.path}/"):
            return posixpath.join(self.folder, path[len(self.path) + 1 :])
        return None


# Where the files of a site are if its generator is unknown, or if only its scripts say it: `static` (Hugo's staticDir),
# `public` and `src` (Eleventy's guides copy them with addPassthroughCopy), `source` (Jekyll's and Hexo's `source`),
# `content` (Hugo's page bundles) and `assets` (Hugo's assetDir).
USUAL_MOUNTS = tuple(map(Mount, ("", "static", "public", "src", "source", "content", "assets")))


class Layout(msgspec.Struct, frozen=True):
    """What is known of one site.

    Attributes:
        generator: the name of the generator; "" if none was found.
        found_by: the file that tells it, or the setting that names it.
        also: the names of other generators whose files are there.
        title: of the site, as its settings say it; "" where they do not.
        site_url: `https://example.org/news`, or `/news` if the host is unknown; None if neither is known.
        content: the folders of its articles, relative to the site.
        mounts: where the site's own files are, in the order in which they are searched.
        page_folders: whether `a.md` is published as `a/index.html`, and its own files may be in a folder `a`.
        templates: folders of layouts and includes, relative to the site.
        nothing: folders that hold no articles: what was built, archetypes, caches.
        syntax: how bodies are read.
    """

    generator: str = ""
    found_by: str = ""
    also: tuple[str, ...] = ()
    title: str = ""
    site_url: str | None = None
    content: tuple[str, ...] = ()
    mounts: tuple[Mount, ...] = USUAL_MOUNTS
    page_folders: bool = False
    templates: frozenset[str] = frozenset()
    nothing: frozenset[str] = frozenset()
    syntax: Syntax = Syntax()

    def role(self, folder: str, above: Role) -> Role:
        """Return what a folder holds.

        Args:
            folder: its path relative to the site.
            above: what its parent folder holds.
        """
        name = folder.rpartition("/")[2]
        if above is Role.NOTHING or name in NEVER_ENTERED or folder in self.nothing:
            return Role.NOTHING
        return Role.TEMPLATES if name in _TEMPLATES or folder in self.templates else above

    def role_of(self, folders: Sequence[str]) -> Role:
        """Return what a folder holds, by the names on the way to it from the root of the site."""
        role, path = Role.ARTICLES, ""
        for name in folders:
            path = f"{path}/{name}" if path else name
            role = self.role(path, role)
        return role

    @property
    def left_out(self) -> list[str]:
        """The folders in which no articles are searched, sorted."""
        return sorted(NEVER_ENTERED | _TEMPLATES | self.templates | self.nothing)

    @property
    def description(self) -> str:
        """One line that names the generator; "" if none was found."""
        if not self.generator:
            return ""
        others = f"; files of {', '.join(self.also)} are there too" if self.also else ""
        return f"generator: {self.generator} ({self.found_by}{others})"


def below(folder: str, *names: str) -> str:
    """Return the path of a folder in a folder, without `.` and `/` at the ends; "" is the root of the site."""
    path = posixpath.normpath(posixpath.join(folder, *names))
    return "" if path == "." else path


def folders(paths: Iterable[str]) -> frozenset[str]:
    """Return folders as `Layout` takes them: without the root of the site, which always holds articles."""
    return frozenset(paths) - {""}


def mounts(*pairs: tuple[str, str] | str) -> tuple[Mount, ...]:
    """Return a mount for each folder, or for each folder with its published path; each once."""
    return tuple(dict.fromkeys(Mount(one) if isinstance(one, str) else Mount(*one) for one in pairs))


def address(url: str, base: str = "") -> str | None:
    """Return the address of a site of which a setting gives the host and another one the path.

    Returns:
        The path alone if the host is unknown; None if neither is known.
    """
    url, base = url.strip().rstrip("/"), base.strip().strip("/")
    return (f"{url}/{base}" if base else url) or None

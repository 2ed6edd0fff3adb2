"""`imgcache init`: writes a commented imgcache.yml."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from imgcache.cli.options import common, examples, site_argument, start_logging
from imgcache.cli.output import print_line
from imgcache.core import ConfigError, open_new
from imgcache.wiring import config_file

TEMPLATE = """\
# The settings of imgcache. Every key is optional; a line that is commented out shows the default.

# Which files are articles (globs as in .gitignore). Never entered: .git, node_modules, vendor, the cache, and the
# folders of what the generator built and of its templates.
# articles: ["**/*.md", "**/*.markdown", "**/*.mdx", "**/*.html", "**/*.njk"]
# exclude: []

# Whose defaults hold: auto (found by the files of the site), jekyll, hugo, eleventy, hexo, astro, docusaurus,
# vitepress, gatsby, mkdocs, zensical, pelican or sphinx.
# generator: auto

# Where the site is published: images under it are the site's own files. Default: as the generator's settings say.
# site_url: https://example.org/news

# The front matter lists whose entries carry isCached.
# flag: [images, related.images]

# Where an image has another size than its article declares: check (report it), fix (write the true size), ignore.
# dimensions: check

# Made of every image, never larger than the original: as a profile says, or as they are listed.
# profile: classic    # classic: the variants below; modern: AVIF and WebP of each width, made with less effort
# variants:
#   - {name: thumb, width: 320, format: auto, quality: 80}
#   - {name: w320, width: 320, format: webp, quality: 80, effort: 4}
#   - {name: w640, width: 640, format: webp}
#   - {name: w1280, width: 1280, format: webp}
# Also: height, fit: inside | cover; format: avif | webp | jpeg | png | auto | best. auto is JPEG, or PNG where there is
# transparency; best is the smallest of those that look as good.

# Defaults for all variants.
# quality: 80         # 1 to 100; auto: the lowest that reaches the target (PNG has none, it loses nothing)
# target: 75          # auto: how similar to the original, by SSIMULACRA2: 90 looks the same, 70 is good
# min_quality: 40     # auto: never lower
# max_quality: 95     # auto: never higher
# effort: 4           # 0 to 6: more time, fewer bytes
# position: center    # what `fit: cover` keeps: center | top | entropy | attention; `focus: [x, y]` in an article wins
# color: srgb         # keep: the colours of the original, with its profile
# linear: false       # scale in linear light
# animation: keep     # first: a still

# What one image may cost.
# limits:
#   bytes: 50MB
#   pixels: 50MP        # of all frames together
#   frames: 300
#   redirects: 5
#   connect: 5s
#   read: 15s
#   total: 60s
#   decode_memory: 1GB
#   decode_time: 20s

# How servers are asked.
# fetch:
#   user_agent: "my-site/1.0 (+https://example.org/contact)"   # default: imgcache, its version, and site_url
#   concurrency: 64
#   per_host: 6
#   interval: 0s        # the least time between two requests to one host
#   retries: 3
#   refresh_after: 30d

# robots.txt is obeyed. With respect_robots_tag, images whose server says noimageindex, noai, noimageai or none in
# X-Robots-Tag are refused as well; what it says is in manifest.json either way.
# respect_robots: true
# respect_robots_tag: false

# SVG can run scripts and load files: it is refused. There is no other value yet.
# svg: refuse

# What one article may cost its reader; `imgcache audit` fails on articles over it. Default: no limit.
# budget:
#   hosts: 0                  # other hosts from which the reader's browser loads images
#   bytes_per_article: 500KB  # of the images that are linked there

# The endpoint, `imgcache serve`.
# serve:
#   memory: 64MB        # of hot files, in each worker
#   fallback: none      # none | placeholder: what is sent, with status 404, for an image that is not held
#   client_hints: false # choose the width by Sec-CH-Width and Sec-CH-DPR
#   access_log: "off"   # off | text | json
#   gallery: local      # who sees the gallery, which names drafts too: on (everyone) | local (this machine) | off
#   large: stream       # stream | redirect: files of more than 1 MB in an object store; a folder's are streamed

# How `imgcache rewrite` changes built pages.
# rewrite:
#   links: false        # true: links to an image lead to the local file as well
#   picture: true       # false: one format, on the <img> itself
#   styles: true        # false: no inline styles, for a Content-Security-Policy that forbids them
#   placeholder: true   # false: no colour and no placeholder behind an image that is still loading

# Networks that may be fetched from although they are not public.
# allow_networks: []
"""


@click.command(short_help="Write a commented imgcache.yml.", epilog=examples("imgcache init"))
@site_argument
@common
def init(site: Path, **options: Any) -> None:
    """Write a commented imgcache.yml into SITE, or to where --config says. An existing file is not changed."""
    start_logging(options)
    file, is_named = config_file(site, options["config"])
    try:
        with os.fdopen(open_new(file), "w", encoding="utf-8") as new:
            new.write(TEMPLATE)
    except FileExistsError:
        raise ConfigError("exists already; it was not changed", where=str(file)) from None
    except OSError as error:
        raise ConfigError(f"cannot be written: {error.strerror}", where=str(file)) from None
    if not options["quiet"]:
        named = f"--config {file} " if is_named else ""
        print_line(f"{file} written; every setting in it is commented out. Next: imgcache sync --dry-run {named}{site}")

"""What each key of imgcache.yml means, and an example where the default is none. The rest is read from the schema."""

from __future__ import annotations

from typing import NamedTuple


class SettingText(NamedTuple):
    """The meaning of a key in Markdown, an example in YAML, and what stands for a default that is not a plain value."""

    meaning: str
    example: str = ""
    default: str = ""


TEXTS = {
    "articles": SettingText(
        "Which files are articles: globs as in `.gitignore`, relative to SITE. Never entered: `.git`, `node_modules`,"
        " `vendor`, the cache, and what a generator built.",
        '["_posts/**/*.md", "pages/**/*.html"]',
    ),
    "fields": SettingText(
        "Which fields of the front matter name images, beside the lists named `images`.", '[image, "gallery[].url"]'
    ),
    "data": SettingText(
        "Which data files name images: YAML, JSON, TOML. `auto`: those below `_data/`, `data/`, `src/_data/`.",
        '["_data/**/*.yml"]',
    ),
    "generator": SettingText(
        "The generator that builds the site. Its defaults hold: folders, the address of the site, own images, Markdown.",
        "hugo",
    ),
    "exclude": SettingText("Which of these files are left out.", '["drafts/**"]'),
    "site_url": SettingText(
        "Where the site is published. Images under this address are files of the site itself. It is also part of the"
        " default `User-Agent`, and makes the absolute addresses that feeds and `og:image` need.",
        "https://example.org/news",
        "`url` and `baseurl` of `_config.yml`, or none",
    ),
    "flag": SettingText("The front matter lists whose entries carry `isCached`.", "[images, provider.images]"),
    "dimensions": SettingText(
        "What to do where an image has another size than its article declares: `check` reports it, `fix` writes the true"
        " `width` and `height` into the article, `ignore` does neither.",
        "fix",
    ),
    "variants": SettingText(
        "Which versions are made of every image. None is larger than the original; of several that would come out the"
        " same, only the first is made. Its keys: [below](#the-keys-of-a-variant).",
        "\n  - {name: small, width: 480}\n  - {name: card, width: 400, height: 300, fit: cover, format: avif}",
        "those of `profile`",
    ),
    "profile": SettingText(
        "A list of variants, used where `variants` is not set. `classic`: a thumbnail and WebP of 320, 640 and 1280"
        " pixels. `modern`: AVIF and WebP of these widths, with 6 to 18 % fewer bytes for 1.35 times the encoding time"
        " ([why it is not the default](../decisions/0015-formats.md)).",
        "modern",
    ),
    "quality": SettingText(
        "The quality of JPEG, WebP and AVIF. `auto` finds for each image the lowest quality that reaches `target`, in at"
        " most four encodings.",
        "auto",
    ),
    "effort": SettingText(
        "How much time the encoder takes for fewer bytes. 2 takes half the time of 4 for 3 % more bytes.", "2"
    ),
    "position": SettingText(
        "Which part `fit: cover` keeps. `entropy` is the part with the most detail, `attention` the one that draws the"
        " eye. An article can name the point instead: `focus: [0.3, 0.6]` beside `url`, from the left and the top.",
        "attention",
    ),
    "color": SettingText(
        "`srgb` converts to sRGB by the profile of the original; `keep` keeps its colours and profile.", "keep"
    ),
    "linear": SettingText("Whether images are scaled in linear light.", "true"),
    "animation": SettingText("`keep` makes animated variants; `first` makes a still of the first frame.", "first"),
    "target": SettingText(
        "The likeness to the original that `quality: auto` reaches, by SSIMULACRA2: 90 looks the same, 70 is good.",
        "80",
    ),
    "min_quality": SettingText("`quality: auto` never goes lower.", "50"),
    "max_quality": SettingText("`quality: auto` never goes higher.", "90"),
    "limits.bytes": SettingText("The largest file that is fetched.", "20MB"),
    "limits.pixels": SettingText("The most pixels of an image, over all of its frames.", "100MP"),
    "limits.frames": SettingText("The most frames of an animation.", "100"),
    "limits.redirects": SettingText("How many redirects are followed.", "3"),
    "limits.connect": SettingText("How long one connection may take to open.", "10s"),
    "limits.read": SettingText("How long a server may send nothing.", "30s"),
    "limits.total": SettingText("How long one image may take in all.", "2m"),
    "limits.decode_memory": SettingText("How much memory a decoder may use for one image.", "512MB"),
    "limits.decode_time": SettingText("How long a decoder may take for one image.", "40s"),
    "fetch.user_agent": SettingText(
        "The `User-Agent` that servers see.",
        '"my-site/1.0 (+https://example.org/contact)"',
        "imgcache, its version, and `site_url`",
    ),
    "fetch.concurrency": SettingText("How many requests are open at once.", "16"),
    "fetch.per_host": SettingText("How many of them go to one host.", "2"),
    "fetch.interval": SettingText(
        "The least time between two requests to one host. `Crawl-delay` in robots.txt is obeyed as well.", "500ms"
    ),
    "fetch.retries": SettingText("How often a request that failed for now is tried again.", "5"),
    "fetch.refresh_after": SettingText("After which time a server is asked whether its image is still the same.", "7d"),
    "respect_robots": SettingText("Whether robots.txt is obeyed.", "false"),
    "respect_robots_tag": SettingText(
        "Whether images are refused whose server says `noimageindex`, `noai`, `noimageai` or `none` in `X-Robots-Tag`."
        " What it says is in manifest.json either way.",
        "true",
    ),
    "svg": SettingText("SVG can run scripts and load files, so it is refused. There is no other value yet.", "refuse"),
    "allow_networks": SettingText(
        "Networks (CIDR) that may be fetched from although they are not public.", '["10.1.0.0/16", "fd00::/8"]'
    ),
    "budget.hosts": SettingText(
        "From how many other hosts one article may load images; `imgcache audit` fails on articles over it.",
        "0",
        "no limit",
    ),
    "budget.bytes_per_article": SettingText(
        "How many bytes of remote images one article may load; `imgcache audit` fails on articles over it.",
        "500KB",
        "no limit",
    ),
    "rewrite.links": SettingText("Whether links to an image lead to the local file as well.", "true"),
    "rewrite.picture": SettingText(
        "Whether several formats are offered by a `<picture>` around the `<img>`; `false` takes one format.", "false"
    ),
    "rewrite.styles": SettingText(
        "Whether inline styles may be added; `false` for a Content-Security-Policy that forbids them.", "false"
    ),
    "rewrite.placeholder": SettingText(
        "Whether the image's colour and placeholder stand behind it until it is loaded.", "false"
    ),
    "serve.memory": SettingText("How many bytes of images each worker keeps in memory.", "256MB"),
    "serve.fallback": SettingText(
        "What is sent, with status 404, for an image that is not held: a page, or a drawn `placeholder`.", "placeholder"
    ),
    "serve.client_hints": SettingText("Whether the width follows `Sec-CH-Width` and `Sec-CH-DPR`.", "true"),
    "serve.access_log": SettingText("The format of a line for each request.", '"json"'),
    "serve.large": SettingText(
        "How files of more than 1 MB in an object store are sent: through imgcache, or by a redirect.", "redirect"
    ),
    "serve.gallery": SettingText(
        "Who sees the gallery, which names drafts too: everyone (`on`), this machine (`local`), or nobody (`off`). The"
        " exported web server configurations publish it only with `on`.",
        '"off"',
    ),
}

VARIANT_TEXTS = {
    "name": SettingText("The name of the files, and of the variant in manifest.json.", "w640"),
    "width": SettingText("The width to fit in, in pixels.", "640"),
    "height": SettingText("The height to fit in, in pixels.", "480"),
    "fit": SettingText(
        "`inside` fits the whole image; `cover` fills width and height, and cuts off the rest.", "cover"
    ),
    "format": SettingText(
        "`auto` is JPEG, or PNG where there is transparency; `best` is the smallest of AVIF, WebP and JPEG that look as"
        " good, or lossless WebP or PNG where that is smaller.",
        "avif",
    ),
}

GROUPS = {
    "limits": "What one image may cost",
    "fetch": "How servers are asked",
    "budget": "What one article may cost its reader",
    "rewrite": "How `imgcache rewrite` changes built pages",
    "serve": "The endpoint, `imgcache serve`",
}

"""Explains each rule, for reports that describe their rules. Pure; an unknown rule is described by its id."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec


class RuleText(msgspec.Struct, frozen=True):
    """`short` says what is wrong, `help` what follows from it and how to fix it; both are sentences."""

    short: str
    help: str


def describe(rule: str) -> RuleText:
    """Returns the text of a rule by its id."""
    if rule in _TEXTS:
        return RuleText(*_TEXTS[rule])
    return RuleText(f"{rule.replace('-', ' ').capitalize()}.", "The finding says what is wrong and what to do.")


def described() -> Iterator[str]:
    """Yields the id of every rule that has a text of its own."""
    yield from _TEXTS


_RETRY = "It may be temporary: every audit tries again, and reports since when the image has failed."
_LOCAL = "Run `imgcache rewrite` after the build and audit with `--built`"
_REPLACE = "Readers see a broken image. Write another address in the article, or remove the image."
_OTHER_FILE = "Readers see a broken image. Link an image in a common format."
_HEAVY = "It is not fetched, because decoding it could exhaust memory. Link a smaller version, or raise the limit."

_TEXTS: dict[str, tuple[str, str]] = {
    "bad-url": (
        "The address of an image is invalid.",
        (
            "It is empty or misspelt, contains credentials, or hides its host. Browsers may interpret it differently or"
            " reject it. Correct it in the article."
        ),
    ),
    "bad-scheme": (
        "The address of an image is neither http nor https.",
        "Browsers do not load it from a page. Write an http or https address.",
    ),
    "blocked-address": (
        "An image is on a private address.",
        (
            "Readers outside that network do not see it. Move the image to a public server or into the site. If the"
            ' network is yours, name it in imgcache.yml: `allow_networks: ["10.1.0.0/16"]`.'
        ),
    ),
    "dns": ("The host name of an image does not resolve.", f"{_REPLACE} {_RETRY}"),
    "connect": ("The host of an image does not accept connections.", f"{_REPLACE} {_RETRY}"),
    "tls": (
        "The certificate of an image host is invalid.",
        "Browsers reject the image. The owner of the host must fix the certificate; until then, link another copy.",
    ),
    "timeout": ("The server of an image takes too long to answer.", f"Readers wait for it or do not see it. {_RETRY}"),
    "http-status": ("The server answers with something other than the image.", _REPLACE),
    "redirects": (
        "The redirects of an image lead nowhere.",
        "They form a loop, are too many, or have no valid target. Write the address that the image has.",
    ),
    "redirected": (
        "An image has moved permanently.",
        (
            "The old address works only as long as its redirect does. Write the new address; `imgcache audit --fix`"
            " does it if the image is the same."
        ),
    ),
    "too-large": ("An image has more bytes than the limit.", _HEAVY),
    "too-many-pixels": ("An image has more pixels than the limit.", _HEAVY),
    "too-many-frames": ("An animation has more frames than the limit.", _HEAVY),
    "truncated": ("An image file is incomplete.", f"Readers see only a part of it. {_RETRY}"),
    "not-an-image": ("The address of an image leads to something else.", _REPLACE),
    "unsupported-format": ("An image has a format that browsers may not show.", _OTHER_FILE),
    "undecodable": ("An image is damaged.", _OTHER_FILE),
    "decoder-crash": ("An image crashes its decoder.", _OTHER_FILE),
    "decoder-timeout": ("An image takes too long to decode.", _OTHER_FILE),
    "dimensions": (
        "An image has another shape than its article declares.",
        (
            "The page jumps while it loads, or the image is distorted. Write its true width and height;"
            " `imgcache audit --fix` does it."
        ),
    ),
    "scaled": (
        "An image has the declared shape, but another size.",
        (
            "The layout is right, but the declared numbers are not those of the file. Write its true width and height;"
            " `imgcache audit --fix` does it."
        ),
    ),
    "placeholder": (
        "An image is a placeholder.",
        (
            "It is a single pixel, one flat color, or what the host shows in place of images that are gone."
            " Write another address in the article."
        ),
    ),
    "host-down": ("A host no longer answers.", f"Readers see none of its images. {_RETRY}"),
    "robots": (
        "The host asks programs not to fetch an image.",
        "Readers see it, but imgcache does not cache it. Ask the owner of the host, or use an image of your own.",
    ),
    "budget": ("An image was not checked: the budget of the run was spent.", "Run again, or raise the budget."),
    "disk-full": ("The disk was full.", "Free disk space and run again."),
    "worker-lost": (
        "Workers of the cluster died while they processed an image.",
        "Run again. If it happens again, read the logs of the workers: they may have too little memory.",
    ),
    "open-files": (
        "Too many files and connections were open on this machine.",
        "Nothing is wrong with the image. Close other programs or raise the limit (ulimit -n), and run again.",
    ),
    "missing-file": (
        "A file of the site is missing.",
        "Readers see a broken image. Add the file, or correct its address: case matters on most servers.",
    ),
    "article-unreadable": (
        "The front matter of an article cannot be read.",
        "Its images are unknown, and the site generator may fail on it too. Correct it at the given line.",
    ),
    "internal": (
        "imgcache failed unexpectedly.",
        "This is a bug of imgcache and no fault of the site. Report it with the text of the finding.",
    ),
    "article-changed": ("An article was saved while imgcache read it.", "Run again."),
    "article-unwritable": (
        "An article cannot be written.",
        "Its flags cannot be updated. Give imgcache permission to write the file.",
    ),
    "flag-without-copy": (
        "An article says isCached, but the cache has no complete copy.",
        "Pages that rely on the flag show a broken image. `imgcache sync` fetches the image, or removes the flag.",
    ),
    "copy-without-flag": (
        "The cache has a copy, but the article does not say isCached.",
        "A template that reads the flag still loads the image from the other server. `imgcache sync` sets the flag.",
    ),
    "variant-missing": (
        "A cached image lacks variants.",
        "Readers load a larger file than they need. `imgcache sync` makes what is missing.",
    ),
    "tracker": (
        "An image is a single pixel that lets its host see who reads the article.",
        "It shows nothing to readers. Remove it.",
    ),
    "certificate-expiring": (
        "The certificate of a host expires soon.",
        "Then browsers reject its images. Tell the owner of the host, or let `imgcache sync` cache them in time.",
    ),
    "budget-hosts": (
        "An article sends its readers to more external hosts than the budget allows.",
        f"Each host sees who reads it. {_LOCAL}, or raise `budget.hosts`.",
    ),
    "budget-bytes": (
        "An article makes its readers load more bytes than the budget allows.",
        f"It loads slowly on slow networks. {_LOCAL}, or raise `budget.bytes_per_article`.",
    ),
    "remote-image": (
        "A built page loads an image from another host.",
        "That host sees who reads the page. Run `imgcache rewrite` after the build: the page then loads a local copy.",
    ),
    "no-alt": (
        "A built page shows an image without alternative text.",
        (
            "People who cannot see it do not learn what it shows (WCAG 2.2, 1.1.1). Write the text into the article;"
            ' alt="" if the image is decoration.'
        ),
    ),
    "no-size": (
        "A built page shows an image without width and height.",
        "The text below it moves when the image is loaded. `imgcache rewrite` adds the true size after the build.",
    ),
    "oversized": (
        "A built page shows an image at less than a tenth of its pixels.",
        "Readers load far more than they see. `imgcache rewrite` offers smaller widths after the build.",
    ),
    "no-network": (
        "No host answered.",
        "The network of this machine seems to be down, so remote images were not judged. Run the audit again.",
    ),
    "not-secure": (
        "An image is linked over http.",
        "On an https page, browsers block it or warn. `imgcache audit --fix` writes https if the host supports it.",
    ),
}

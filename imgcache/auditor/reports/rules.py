"""What each rule means, for reports that explain their rules. Pure; a rule that is not here is named by its words."""

from __future__ import annotations

import msgspec


class RuleText(msgspec.Struct, frozen=True):
    """`short` says what is wrong, `help` what follows from it and what mends it; both in sentences."""

    short: str
    help: str


def describe(rule: str) -> RuleText:
    """The text of a rule, by its id."""
    if rule in _TEXTS:
        return RuleText(*_TEXTS[rule])
    return RuleText(f"{rule.replace('-', ' ').capitalize()}.", "The finding says what is wrong and what to do.")


_AGAIN = "It may pass: an audit asks again, and tells since when it lasts."
_ELSEWHERE = "Readers see a broken picture. Give the article another address, or take the image out."
_OTHER_FILE = "Readers see a broken picture. Give the article the address of a picture in a common format."
_HEAVY = "It is not fetched: decoding it could take the machine down. Link a smaller version, or raise the limit."

_TEXTS: dict[str, tuple[str, str]] = {
    "bad-url": (
        "The address of an image cannot be read.",
        (
            "It is empty or misspelt, carries credentials, or hides where it leads. Browsers may read it another way,"
            " or not at all. Correct it in the article."
        ),
    ),
    "bad-scheme": (
        "The address of an image is neither http nor https.",
        "No reader's browser loads it from a page. Write an http or https address.",
    ),
    "blocked-address": (
        "An image lies on a private address.",
        (
            "Readers outside that network do not see it. Put the picture on a public server, or into the site; networks"
            " of your own are named in `allow_networks`."
        ),
    ),
    "dns": ("The name of an image's host does not resolve.", f"{_ELSEWHERE} {_AGAIN}"),
    "connect": ("The host of an image does not accept a connection.", f"{_ELSEWHERE} {_AGAIN}"),
    "tls": (
        "The certificate of an image's host is not good.",
        "Browsers refuse the picture. Its owner has to mend the certificate; until then link another copy.",
    ),
    "timeout": ("An image takes too long to answer.", f"Readers wait for it or do not see it. {_AGAIN}"),
    "http-status": ("The server answers with something else than the image.", _ELSEWHERE),
    "redirects": (
        "The redirects of an image lead nowhere.",
        "They go round in a circle, are too many, or name no address. Write the address at which the picture is.",
    ),
    "redirected": (
        "An image has moved for good.",
        (
            "Its old address still leads to the new one, until somebody clears up. Write the new address;"
            " `imgcache audit --fix` does it where the picture is the same."
        ),
    ),
    "too-large": ("An image has more bytes than the limit.", _HEAVY),
    "too-many-pixels": ("An image has more pixels than the limit.", _HEAVY),
    "too-many-frames": ("An animation has more frames than the limit.", _HEAVY),
    "truncated": ("An image ends before its end.", f"Readers see a part of it. {_AGAIN}"),
    "not-an-image": ("What the address leads to is no image.", _ELSEWHERE),
    "unsupported-format": ("An image is of a kind that browsers may not show.", _OTHER_FILE),
    "undecodable": ("An image is damaged.", _OTHER_FILE),
    "decoder-crash": ("An image makes its decoder crash.", _OTHER_FILE),
    "decoder-timeout": ("An image takes too long to decode.", _OTHER_FILE),
    "dimensions": (
        "An image is of another shape than its article declares.",
        (
            "The page jumps while it loads, or the picture is distorted. Write its true width and height;"
            " `imgcache audit --fix` does it."
        ),
    ),
    "scaled": (
        "An image has the declared shape and another size.",
        (
            "Pages are laid out well; the declared numbers are not those of the file. Write its true width and height;"
            " `imgcache audit --fix` does it."
        ),
    ),
    "placeholder": (
        "An image is a stand-in, not a picture.",
        (
            "A single pixel, one flat colour, or what the host shows in place of pictures it no longer has."
            " Give the article another address."
        ),
    ),
    "host-down": ("A host no longer answers at all.", f"All its images are missing for readers. {_AGAIN}"),
    "robots": (
        "The host asks programs not to fetch an image.",
        "Readers see it, imgcache does not cache it. Ask its owner, or put a picture of your own in its place.",
    ),
    "budget": ("An image was not looked at: the run's budget was spent.", "Run again, or give the run more."),
    "disk-full": ("There was no room on the disk.", "Make room and run again."),
    "worker-lost": (
        "Workers of the cluster died on an image.",
        "Run again. If it comes back, look into the workers' logs: they may have too little memory.",
    ),
    "open-files": (
        "Too many files and connections were open on this machine.",
        "Nothing is wrong with the image. Close other programs or raise the limit (ulimit -n), and run again.",
    ),
    "missing-file": (
        "A file of the site is missing.",
        "Readers see a broken picture. Put the file there, or correct its address: case counts on most servers.",
    ),
    "article-unreadable": (
        "The front matter of an article cannot be read.",
        "Its images are not known, and the site's generator may stumble over it too. Mend it at the line named.",
    ),
    "internal": (
        "imgcache failed in a way that nobody foresaw.",
        "A bug of imgcache, and no fault of the site. Report it with what the finding says; nothing else is affected.",
    ),
    "article-changed": ("An article was saved while it was read.", "Run again."),
    "article-unwritable": ("An article cannot be written.", "Its flags cannot be kept. Let imgcache write the file."),
    "flag-without-copy": (
        "An article says isCached, and there is no whole copy.",
        "Pages that trust the flag show a broken picture. `imgcache sync` fetches the image, or takes the flag away.",
    ),
    "copy-without-flag": (
        "A copy is held, and the article does not say so.",
        "Readers are still sent to the other server. `imgcache sync` sets the flag.",
    ),
    "variant-missing": (
        "A copy is held without all its smaller versions.",
        "Readers get a larger file than they need. `imgcache sync` makes what is missing.",
    ),
    "tracker": (
        "An image is a single pixel that tells its host who reads the article.",
        "Readers see nothing of it. Take it out.",
    ),
    "certificate-expiring": (
        "The certificate of a host ends soon.",
        "From that day on browsers refuse its images. Tell its owner, or let `imgcache sync` keep copies in time.",
    ),
    "budget-hosts": (
        "An article sends its readers to more foreign hosts than the budget allows.",
        "Each of them learns who reads it. Cache the images, or raise `budget.hosts`.",
    ),
    "budget-bytes": (
        "An article makes its readers load more bytes than the budget allows.",
        "It is slow where the network is. Cache the images, or raise `budget.bytes_per_article`.",
    ),
    "no-network": (
        "No host at all answered.",
        "The network of this machine is taken to be down, and nothing is said of the images. Run the audit again.",
    ),
    "not-secure": (
        "An image is linked by http.",
        "On an https page browsers block it or warn. `imgcache audit --fix` writes https where the host answers it.",
    ),
}

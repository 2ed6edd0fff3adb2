"""Judges one image by what is known about it: each function makes one finding, or none. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from imgcache.auditor import remedies
from imgcache.auditor.finding_factory import image_finding, places_finding, uses_finding
from imgcache.cache import AuditedImage, ImageUse
from imgcache.core import (
    Correction,
    Declared,
    Dimensions,
    Failure,
    Finding,
    Hop,
    Place,
    Problem,
    Reference,
    Severity,
    Size,
    UrlState,
    blame_for,
    clean_text,
    plural,
    redact,
)
from imgcache.policy import Health, SizeMatch, health, plan

PERMANENT = frozenset({301, 308})  # RFC 9110, sections 15.4.2 and 15.4.9
WITHOUT_COPY = "flag-without-copy"
_MAX_SIZES = 5  # declared sizes that one message lists

_UNSIZED = frozenset({"body", "shortcode"})  # fields that declare no size
_NOT_CERTAIN = frozenset({UrlState.FLAKY, UrlState.BLOCKED})  # the image may be there for readers


def failing(image: AuditedImage, failure: Failure, past: Health | None, now: float, alternative: str | None) -> Finding:
    """Judges an image that its server did not deliver; `alternative` is another URL of it that answers."""
    state = health.url_state(failure, past, now)
    severity = Severity.ERROR
    if failure.code == "robots":
        severity = Severity.NOTE
    elif plan.disproves_guess(failure.code, guessed=image.is_guessed) or (
        blame_for(failure.code) not in health.NOT_COUNTED and state in _NOT_CERTAIN
    ):
        severity = Severity.WARNING
    message = failure.message
    if failure.rests:
        message = f"{message}; {state}: failing since {health.format_day(failure.first_at)}"
    remedy = remedies.failing(failure, alternative=alternative, is_held=image.digest is not None)
    shown_state = None if blame_for(failure.code) in health.NOT_COUNTED else state
    return image_finding(image, failure.code, severity, message, remedy, state=shown_state)


def broken_file(image: AuditedImage, code: str, message: str) -> Finding:
    """Judges a file of the site that is missing or is not a valid image."""
    what, _, advice = message.partition("; ")
    severity = plan.severity_of_own_image(code, guessed=image.is_guessed)
    return image_finding(image, code, severity, what, advice or remedies.file(code))


def sizes(image: AuditedImage, *, is_sure: bool, state: UrlState | None) -> Iterator[Finding]:
    """Judges the declared sizes that differ from the true size, by shape or by size alone.

    `is_sure`: the image at the URL is the intended one, so that its size may be written into articles.
    """
    true = image.true_size
    if true is None:
        return
    for rule, match, severity in (
        ("dimensions", SizeMatch.OTHER, Severity.ERROR),
        ("scaled", SizeMatch.SCALED, Severity.WARNING),
    ):
        uses = tuple(use for use in image.uses if plan.compare_size(use.declared, true) is match)
        if not uses:
            continue
        changes = [Correction(use.place, size=true) for use in uses if is_sure and use.place.field not in _UNSIZED]
        is_body = all(use.place.field in _UNSIZED for use in uses)
        remedy = remedies.size(true, is_fixable=bool(changes), is_body=is_body)
        message = _describe_sizes(uses, true, match)
        yield image_finding(image._replace(uses=uses), rule, severity, message, remedy, state=state, changes=changes)


def _describe_sizes(uses: Sequence[ImageUse], true: Size, match: SizeMatch) -> str:
    first_places: dict[Declared, Place] = {}
    for use in uses:
        first_places.setdefault(use.declared, use.place)
    difference = "the same shape, another size" if match is SizeMatch.SCALED else "another shape"
    if len(first_places) == 1:
        [declared] = first_places
        if (declared.width, declared.height) == (true.height, true.width):
            difference = "width and height are swapped"
        return f"declared {_size(declared)}, the image is {true}: {difference}"
    listed = [
        f"{_size(declared)} at {clean_text(place.article, 300)}:{place.line}"
        for declared, place in list(first_places.items())[:_MAX_SIZES]
    ]
    hidden = len(first_places) - _MAX_SIZES
    more = [f"{plural(hidden, 'more size')}"] if hidden > 0 else []
    return f"the image is {true}: {difference}; declared " + ", ".join(listed + more)


def _size(declared: Declared) -> str:
    return f"{declared.width or '?'}×{declared.height or '?'}"


def flags(image: AuditedImage, dimensions: Dimensions) -> Iterator[Finding]:
    """Judges the flags that `sync` would change: set without a copy, or not set although there is one."""
    if uses := without_copy(image):
        message = "isCached is true, but the cache has no copy"
        yield image_finding(image._replace(uses=uses), WITHOUT_COPY, Severity.ERROR, message, remedies.SYNC)
    if uses := _uses_to_flag(image, flag=True, dimensions=dimensions):
        message = "the cache has a copy, but isCached is not set"
        yield image_finding(image._replace(uses=uses), "copy-without-flag", Severity.WARNING, message, remedies.FLAG)


def without_copy(image: AuditedImage) -> tuple[ImageUse, ...]:
    """Returns the uses whose flag is set although the cache has no copy."""
    return () if image.digest is not None else _uses_to_flag(image, flag=False)


def _uses_to_flag(
    image: AuditedImage, *, flag: bool, dimensions: Dimensions = Dimensions.IGNORE
) -> tuple[ImageUse, ...]:
    """The uses whose flag `sync` would change to `flag`."""

    def decided(use: ImageUse) -> bool | None:
        place = use.place
        reference = Reference(
            image.url,
            place.article,
            place.line,
            place.column,
            place.field,
            use.declared,
            is_cached=use.is_cached,
            flaggable=use.flaggable,
        )
        held = image.digest is not None
        edit = plan.decide_flag(reference, held=held, true=image.copy_size, dimensions=dimensions, may_clear=True).edit
        return edit.flag if edit else None

    return tuple(use for use in image.uses if decided(use) is flag)


def no_cache(images: int, uses: Sequence[ImageUse]) -> Finding:
    """Reports all flags of a site that has no cache, such as a clone; they may be right where the cache is."""
    finding = uses_finding(uses, WITHOUT_COPY, Severity.NOTE, "", remedies.NO_CACHE)
    verb = "is" if images == 1 else "are"
    flagged = f"{plural(images, 'image')} {verb} flagged in {plural(finding.articles, 'article')}"
    return msgspec.structs.replace(finding, message=f"{flagged}, and there is no cache here, as in a fresh clone")


def variants(image: AuditedImage, absent: Sequence[str]) -> Finding:
    """Reports a copy without all its variants; `absent` names lost files, and is empty if none was lost."""
    if absent:
        names = ", ".join(clean_text(path.rpartition("/")[2], 60) for path in absent)
        message, remedy = f"files of the cached copy are missing: {names}", remedies.REPAIR
    else:
        message, remedy = "variants that imgcache.yml asks for have not been made yet", remedies.VARIANTS
    return image_finding(image, "variant-missing", Severity.WARNING, message, remedy)


def insecure(image: AuditedImage, secure: str | None, state: UrlState | None) -> Finding:
    """Reports an image over http; `secure` is an https URL with the same image."""
    if secure is None:
        message = "linked over http, which browsers block or warn about; https does not serve the same image"
        return image_finding(image, "not-secure", Severity.NOTE, message, remedies.INSECURE, state=state)
    changes = [Correction(use.place, url=secure) for use in image.uses]
    remedy = remedies.address(secure, is_fixable=True)
    message = "linked over http, although the host serves the same image over https"
    return image_finding(image, "not-secure", Severity.WARNING, message, remedy, state=state, changes=changes)


def redirected(image: AuditedImage, hops: Sequence[Hop], shared_by: int, state: UrlState | None) -> Finding:
    """Reports an image that was reached through redirects; if every hop is permanent, `--fix` writes the new URL.

    It is not written if several URLs lead there (`shared_by`), or if an article declares another shape: then the
    target may be one image that the host shows in place of many.
    """
    target = hops[-1].url
    to = redact(target, 300)
    if any(hop.status not in PERMANENT for hop in hops):
        message = f"temporarily redirected to {to}"
        remedy = "nothing, if the redirect is intended; each reader's browser makes one more request"
        return image_finding(image, "redirected", Severity.NOTE, message, remedy, state=state)
    message = f"moved permanently to {to}"
    is_other = any(
        image.true_size and plan.compare_size(use.declared, image.true_size) is SizeMatch.OTHER for use in image.uses
    )
    if shared_by > 1 or is_other:
        message += ", as did other URLs" if shared_by > 1 else ", where the image has another shape"
        remedy = f"open it: if it is the right image, write {to}"
        return image_finding(image, "redirected", Severity.WARNING, message, remedy, state=state)
    changes = [Correction(use.place, url=target) for use in image.uses]
    remedy = remedies.address(target, is_fixable=True)
    return image_finding(image, "redirected", Severity.WARNING, message, remedy, state=state, changes=changes)


def tracker(image: AuditedImage, state: UrlState | None) -> Finding:
    """Reports an image of one pixel on another host."""
    message = "the image is a single pixel, as hosts use to count readers"
    return image_finding(image, "tracker", Severity.WARNING, message, remedies.TRACKER, state=state)


def shared_placeholder(image: AuditedImage, message: str, severity: Severity = Severity.ERROR) -> Finding:
    """Reports an image that the host shows in place of many."""
    return image_finding(image, "placeholder", severity, message, remedies.PLACEHOLDER, state=UrlState.SUSPECT)


def certificate(host: str, ends: float, now: float, uses: Sequence[ImageUse]) -> Finding:
    """Reports a host whose certificate expires soon; `ends` and `now` are seconds since the epoch."""
    verb = "expires" if ends > now else "expired"
    message = f"{clean_text(host, 100)}: its certificate {verb} on {health.format_day(ends)}"
    return uses_finding(uses, "certificate-expiring", Severity.WARNING, message, remedies.CERTIFICATE)


def unreadable(problem: Problem) -> Finding:
    """Reports an article that cannot be read."""
    return places_finding(list(problem.references), problem.code, problem.severity, problem.message, remedies.ARTICLE)


def no_network(tried: int) -> Finding:
    """Reports a run in which no host answered."""
    message = (
        f"no host answered for any of {plural(tried, 'image')}, so the network seems to be down; remote images were"
        " not judged and nothing was recorded"
    )
    return places_finding([], "no-network", Severity.ERROR, message, remedies.NETWORK)


def quarantined(image: AuditedImage, code: str, message: str) -> Finding:
    """Reports an image whose new version waits for a decision."""
    return image_finding(image, code, Severity.WARNING, message, remedies.QUARANTINE)

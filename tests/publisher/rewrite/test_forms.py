"""Every form in which a page names an image: found, and made local."""

from __future__ import annotations

import msgspec
import pytest

from imgcache.publisher.rewrite import FileKind, Form
from tests.publisher.rewrite.support import HOST, SITE, held, local, public, references, rewritten, run, urls

A = f"{HOST}/a.jpg"
B = f"{HOST}/b.jpg"
EXACT_A = local("a.jpg", "original.jpeg")
EXACT_B = local("b.jpg", "original.jpeg")

# Each page names A, some B too. The second text is the same page with local addresses and nothing else changed.
REPLACED = {
    "lazy loader": (f"<img data-src={A} class=lazy>", f"<img data-src={EXACT_A} class=lazy>"),
    "lazy srcset": (
        f"<img data-srcset=\"{A} 1x, {B} 2x\" data-src='{A}'>",
        f"<img data-srcset=\"{EXACT_A} 1x, {EXACT_B} 2x\" data-src='{EXACT_A}'>",
    ),
    "data-original": (f'<img data-original="{A}">', f'<img data-original="{EXACT_A}">'),
    "data-lazy-src": (f'<img data-lazy-src="{A}">', f'<img data-lazy-src="{EXACT_A}">'),
    "data-bg": (f'<div data-bg="{A}"></div>', f'<div data-bg="{EXACT_A}"></div>'),
    "data-bg with url()": (f'<div data-bg="url({A})"></div>', f'<div data-bg="url({EXACT_A})"></div>'),
    "poster": (f"<video poster={A} src=v.mp4></video>", f"<video poster={EXACT_A} src=v.mp4></video>"),
    "input": (f"<input type=IMAGE src={A}>", f"<input type=IMAGE src={EXACT_A}>"),
    "icon": (f'<link rel="shortcut icon" href="{A}">', f'<link rel="shortcut icon" href="{EXACT_A}">'),
    "apple icon": (f"<link rel=apple-touch-icon href={A}>", f"<link rel=apple-touch-icon href={EXACT_A}>"),
    "svg image": (
        f'<svg><image href="{A}" xlink:href="{A}"/></svg>',
        f'<svg><image href="{EXACT_A}" xlink:href="{EXACT_A}"/></svg>',
    ),
    "object": (f'<object type=image/jpeg data="{A}"></object>', f'<object type=image/jpeg data="{EXACT_A}"></object>'),
    "background": (f"<table background={A}><td>x</table>", f"<table background={EXACT_A}><td>x</table>"),
    "tile": (
        f'<meta name="msapplication-TileImage" content="{A}">',
        f'<meta name="msapplication-TileImage" content="{EXACT_A}">',
    ),
    "style attribute": (
        f"<p style=\"background: url('{A}') no-repeat\">x",
        f"<p style=\"background: url('{EXACT_A}') no-repeat\">x",
    ),
    "style element": (
        f"<style>p {{background:url( {A} )}}</style>",
        f"<style>p {{background:url( {EXACT_A} )}}</style>",
    ),
    "noscript": (f"<noscript><img src={A}></noscript>", f"<noscript><img src={EXACT_A}></noscript>"),
    "og:image": (
        (
            f'<meta property="og:image" content="{A}"><meta property="og:image:width" content="9">'
            '<meta property="og:image:height" content=\'9\'><meta property="og:image:type" content="image/webp">'
        ),
        (
            f'<meta property="og:image" content="{public("a.jpg", "original.jpeg")}">'
            '<meta property="og:image:width" content="1600"><meta property="og:image:height" content="900">'
            '<meta property="og:image:type" content="image/jpeg">'
        ),
    ),
    "secure og:image": (
        f'<meta property="og:image" content="{A}"><meta property="og:image:secure_url" content="{A}">',
        (
            f'<meta property="og:image" content="{public("a.jpg", "original.jpeg")}">'
            f'<meta property="og:image:secure_url" content="{public("a.jpg", "original.jpeg")}">'
        ),
    ),
    "twitter": (
        f'<meta name="twitter:image" content="{A}">',
        f'<meta name="twitter:image" content="{public("a.jpg", "original.jpeg")}">',
    ),
    "image_src": (
        f'<link rel="image_src" href="{A}">',
        f'<link rel="image_src" href="{public("a.jpg", "original.jpeg")}">',
    ),
    "JSON-LD": (
        '<script type="application/ld+json">{"image": ["https:\\/\\/img.example\\/a.jpg"], "name": "'
        + A
        + '", "logo": {"@type": "ImageObject", "url": "'
        + B
        + '", "width": 7, "height": "8"}}</script>',
        '<script type="application/ld+json">{"image": ["'
        + public("a.jpg", "original.jpeg")
        + '"], "name": "'
        + A
        + '", "logo": {"@type": "ImageObject", "url": "'
        + public("b.jpg", "original.jpeg")
        + '", "width": 1600, "height": "900"}}</script>',
    ),
    "picture": (
        (
            f'<picture><source media="(min-width: 9em)" srcset="{A} 1x,{B} 2x">'
            f'<img decoding=sync loading=eager src="{B}"></picture>'
        ),
        (
            f'<picture><source media="(min-width: 9em)" srcset="{EXACT_A} 1x,{EXACT_B} 2x">'
            f'<img decoding=sync loading=eager src="{EXACT_B}" fetchpriority="high"></picture>'
        ),
    ),
    "typed source": (
        f'<picture><source type="image/webp" srcset="{A}"><img></picture>',
        f'<picture><source type="image/jpeg" srcset="{EXACT_A}"><img></picture>',
    ),
}


@pytest.mark.parametrize("form", REPLACED)
def test_an_address_is_replaced_and_nothing_else(form: str) -> None:
    before, after = (f"<!doctype html><title>x</title><body>{text}" for text in REPLACED[form])
    assert set(urls(before)) <= {A, B}
    assert urls(before)
    assert rewritten(before, held("a.jpg", "b.jpg")) == after
    assert set(urls(after)) <= {"https://site.example/blog/" + url.split("/blog/")[1] for url in urls(after)}


@pytest.mark.parametrize(
    "text",
    [
        f"<!-- <img src={A}> -->",
        f"<script>'<img src={A}>'</script>",
        f"<textarea><img src={A}></textarea>",
        f"<title><img src={A}></title>",
        f"<style>/* url({A}) */</style>",
        f"<style>@import url({A}); @font-face {{src: url({A})}}</style>",
        f"<iframe><img src={A}></iframe>",
        f"<plaintext><img src={A}>",
        f"<a href={A}>x</a>",
        f'<a href={A} style="background:url(/own.png)">x</a>',
        f"<video><source src={A}></video>",
        f"<link rel=stylesheet href={A}>",
        f'<meta name="description" content="{A}">',
        f'<script type="application/ld+json">{{"url": "{A}", "@type": "VideoObject", "contentUrl": "{A}"}}</script>',
        f'<script type="application/ld+json">{{"image": "{A}"</script>',
        f'<img data-imgcache="keep" src="{A}">',
        f'<section data-imgcache=keep><b><img src="{A}" style="background:url({A})"></b></section>',
        '<img src="/own.jpg"><img src="data:image/gif;base64,AAAA"><img src=""><img><img src="blob:https://x/1">',
        f'<img src="{A}',
    ],
)
def test_what_loads_no_remote_image_is_left_alone(text: str) -> None:
    page = f"<!doctype html><body>{text}"
    assert urls(page) == []
    assert rewritten(page, held("a.jpg")) == page


@pytest.mark.parametrize(
    ("written", "url"),
    [
        ('"https://img.example/a.jpg?x=1&amp;y=2"', f"{HOST}/a.jpg?x=1&y=2"),
        ('"https://img.example/a.jpg?x=1&copy=2"', f"{HOST}/a.jpg?x=1&copy=2"),
        ("'&#104;ttps:&#x2F;/img.example/a.jpg'", A),
        ('" \n //img.example/a.jpg\t"', "//img.example/a.jpg"),
        ('"https://img.example/a\n.jpg"', A),
        ('"HTTPS://img.example/a.jpg"', "HTTPS://img.example/a.jpg"),
        ('"https://bücher.example/ä%20b.jpg"', "https://bücher.example/ä%20b.jpg"),
        ("https://img.example/a.jpg", A),
    ],
)
def test_an_address_is_read_as_a_browser_reads_it(written: str, url: str) -> None:
    page = f"<!doctype html><meta charset=utf-8><p><img alt=x src={written}>"
    assert urls(page) == [url]
    assert A.rsplit("/", 1)[0] not in rewritten(page, held(url))


@pytest.mark.parametrize("name", ["<image src={}>", "<IMG SRC={}>", "<img/src={}>", "<img\n\fsrc\n=\r\n{}\n>"])
def test_spellings_of_a_tag(name: str) -> None:
    assert urls(f"<p>{name.format(A)}") == [A]


def test_the_first_of_two_attributes_counts() -> None:
    page = f"<p><img src={A} src={B}>"
    assert urls(page) == [A]
    assert f"src={B}" in rewritten(page, held("a.jpg", "b.jpg"))


def test_a_base_of_another_site_makes_every_relative_address_remote() -> None:
    page = '<!doctype html><base href="https://img.example/x/"><img src="../a.jpg">'
    assert urls(page) == [A]
    assert public("a.jpg", "w1280.webp") in rewritten(page, held("a.jpg"))


def test_links_are_followed_only_where_asked() -> None:
    page = f"<a href={A}><img src=own.png></a><a href=https://img.example/page>x</a>"
    options = msgspec.structs.replace(SITE, links=True)
    assert [(one.url, one.form) for one in references(page, options=options)] == [(A, Form.LINK)]
    assert EXACT_A in rewritten(page, held("a.jpg"), options=options)


def test_places_are_those_of_the_file() -> None:
    page = f"<!doctype html>\r\n<p>é\r\n<img src='{A}'>".encode()
    (found,) = references(page)
    assert page[found.start : found.end] == A.encode()


def test_what_is_not_held_stays() -> None:
    page = f'<!doctype html><body><img srcset="{A} 1x, {B} 2x" src={B}><p style="background:url({B})">'
    assert rewritten(page, held("a.jpg")) == page.replace(A, EXACT_A)
    done = run(page.encode(), held("a.jpg"))
    assert (done.rewritten, done.left, done.missing) == (1, 3, (B,))


def test_a_set_of_one_declared_type_is_replaced_as_a_whole_or_not_at_all() -> None:
    page = f'<picture><source type="image/webp" srcset="{A} 1x, {B} 2x"></picture>'
    assert rewritten(page, held("a.jpg")) == page


def test_amp_pages_get_addresses_alone() -> None:
    page = f'<!doctype html><html ⚡><meta charset=utf-8><amp-img src="{A}" srcset="{B} 2x"></amp-img><img src="{A}">'
    expected = page.replace(A, EXACT_A).replace(B, EXACT_B)
    assert rewritten(page, held("a.jpg", "b.jpg")) == expected


def test_kinds_of_files() -> None:
    from imgcache.publisher.rewrite import kind_of

    assert [kind_of(name) for name in ("a/b.HTML", "x.css", "feed.xml", "site.webmanifest", "a.js", "html")] == [
        FileKind.HTML,
        FileKind.CSS,
        FileKind.FEED,
        FileKind.JSON,
        None,
        None,
    ]

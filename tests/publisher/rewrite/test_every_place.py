"""Each attribute, element and member that can name an image: found, and replaced by the file that fits there.

`test_forms.py` and `test_other_files.py` have the places at which more than the address changes.
"""

from __future__ import annotations

import pytest

from imgcache.publisher.rewrite import FileKind
from tests.publisher.rewrite.support import HOST, held, local, public, rewritten, urls

A = f"{HOST}/a.jpg"
NEAR, PUBLIC = local("a.jpg", "original.jpeg"), public("a.jpg", "original.jpeg")

SHOWN = [  # by the reader's browser: the address may be relative
    *(f'<img {name}="{{}}">' for name in ("data-src", "data-original", "data-lazy-src", "data-lazy", "data-orig-src")),
    *(f'<img {name}="{{}} 2x">' for name in ("data-srcset", "data-lazy-srcset", "data-original-set")),
    *(f'<div {name}="{{}}"></div>' for name in ("data-bg", "data-background", "data-background-image", "data-bg-src")),
    '<div data-bgset="{} 300w, {} 600w"></div>',
    '<img data-echo="{}">',
    '<picture><source data-srcset="{} 2x"></picture>',
    '<picture><source media="(min-width: 9em)" srcset="{}"><source srcset="{} 2x"></picture>',
    '<video data-poster="{}"></video>',
    '<amp-img src="{}"></amp-img>',
    '<amp-anim src="{}"></amp-anim>',
    '<amp-video poster="{}"></amp-video>',
    '<embed src="{}">',
    '<object data="{}">x</object>',
    '<svg><feImage href="{}"/></svg>',
    '<table><td background="{}">x</table>',
    '<link rel="mask-icon" href="{}">',
    '<link rel="apple-touch-icon-precomposed" href="{}">',
    '<link rel="preload" as="image" href="{}" imagesrcset="{} 1x, {} 2x">',
    '<link rel="prefetch" as="image" href="{}">',
    '<meta name="msapplication-square150x150logo" content="{}">',
    "<p style=\"background: image-set('{}' 1x)\">x</p>",
    '<style media="print">@supports (a: b) {{ li {{ list-style-image: url("{}") }} }}</style>',
    "<noscript><p style='background: url({})'>x</p></noscript>",
    '<template><video poster="{}"></video></template>',
    '<iframe srcdoc="<p>x<img src={}>"></iframe>',
    "<iframe srcdoc='&lt;img src=&quot;{}&quot; srcset=\"{} 2x\">'></iframe>",
]
SHARED = [  # with other programs: the address is absolute
    *(f'<meta property="{name}" content="{{}}">' for name in ("og:image:url", "og:image:secure_url", "og:logo")),
    '<meta name="og:image" content="{}">',
    *(f'<meta name="{name}" content="{{}}">' for name in ("twitter:image:src", "thumbnail")),
    *(f'<meta itemprop="{name}" content="{{}}">' for name in ("image", "thumbnailUrl", "logo")),
    '<link itemprop="image" href="{}">',
    *(
        f'<script type="application/ld+json">{{{{"@graph": [{{{{"{name}": "{{}}"}}}}]}}}}</script>'
        for name in ("image", "logo", "thumbnailUrl", "thumbnail", "photo", "primaryImageOfPage")
    ),
    '<script type="application/ld+json">{{"@type": "ImageObject", "contentUrl": "{}"}}</script>',
    '<script type="application/ld+json">[{{"@type": ["Thing", "ImageObject"], "url": "{}"}}]</script>',
    '<script type="application/ld+json">{{"image": {{"contentUrl": "{}", "caption": "x"}}}}</script>',
]
FEED = [
    "<rss><channel><image><url>{}</url></image></channel></rss>",
    '<rss xmlns:media="http://search.yahoo.com/mrss/"><media:content type="image/jpeg" url="{}"/></rss>',
    '<rss xmlns:media="http://search.yahoo.com/mrss/"><media:group><media:thumbnail url="{}"/></media:group></rss>',
    '<rss xmlns:x="http://www.itunes.com/dtds/podcast-1.0.dtd"><x:image href="{}"/></rss>',
    '<feed xmlns="http://www.w3.org/2005/Atom"><summary type="html">&lt;img src="{}"></summary></feed>',
    '<feed xmlns="http://www.w3.org/2005/Atom"><link href="{}" rel="enclosure" type="image/jpeg"/></feed>',
    "<urlset xmlns:image='http://www.google.com/schemas/sitemap-image/1.1'><image:loc>{}</image:loc></urlset>",
]
JSON = [
    '{{"version": "https://jsonfeed.org/version/1", "icon": "{}", "favicon": "{}"}}',
    '{{"version": "https://jsonfeed.org/version/1.1", "items": [{{"image": "{}", "author": {{"avatar": "{}"}}}}]}}',
]


@pytest.mark.parametrize("text", SHOWN)
def test_what_a_browser_shows(text: str) -> None:
    head = "<!doctype html><title>x</title>"
    assert set(urls(head + text.format(*[A] * 3))) == {A}
    assert rewritten(head + text.format(*[A] * 3), held("a.jpg")) == head + text.format(*[NEAR] * 3)


@pytest.mark.parametrize(
    ("kind", "text"),
    [(FileKind.HTML, one) for one in SHARED]
    + [(FileKind.FEED, one) for one in FEED]
    + [(FileKind.JSON, one) for one in JSON],
)
def test_what_other_programs_read(kind: FileKind, text: str) -> None:
    assert set(urls(text.format(A, A), kind)) == {A}
    assert rewritten(text.format(A, A), held("a.jpg"), kind) == text.format(PUBLIC, PUBLIC)


@pytest.mark.parametrize(
    "text",
    [
        '<iframe srcdoc="&lt;textarea><img src={}>"></iframe>',
        '<iframe srcdoc="<p data-imgcache=keep><img src={}>"></iframe>',
        '<iframe data-imgcache="keep" srcdoc="<img src={}>"></iframe>',
        '<iframe src="{}"></iframe>',
    ],
)
def test_what_is_no_image_of_an_inner_page(text: str) -> None:
    page = f"<!doctype html>{text.format(A)}"
    assert urls(page) == []
    assert rewritten(page, held("a.jpg")) == page

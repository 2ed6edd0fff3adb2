"""Style sheets, feeds, sitemaps, JSON Feed and web app manifests."""

from __future__ import annotations

import json

import pytest

from imgcache.publisher.rewrite import FileKind, Unreadable, find
from tests.publisher.rewrite.support import HOST, SITE, held, local, public, rewritten, urls

A = f"{HOST}/a.jpg"
B = f"{HOST}/b.jpg"
EXACT = local("a.jpg", "original.jpeg")
PUBLIC = public("a.jpg", "original.jpeg")


@pytest.mark.parametrize(
    "sheet",
    [
        "p{{background:url({})}}",
        'p{{background:URL( "{}" ) no-repeat, linear-gradient(red, blue)}}',
        "@media print {{p{{list-style:url('{}')}}}}",
        'p{{background:image-set("{}" 1x, "/own.png" 2x)}}',
        "p{{background:-webkit-image-set(url({}) 1x)}}",
        "@import 'x.css'; p{{cursor:url({}), auto}}",
        "p{{--hero: url({})}}",
        "/* é */p{{content:url({}) / 'x\\'y'}}",
        ".\\31 23{{mask:url({})}} a::after{{content:'url(https://img.example/b.jpg)'}}",
    ],
)
def test_addresses_in_style_sheets(sheet: str) -> None:
    assert urls(sheet.format(A), FileKind.CSS) == [A]
    assert rewritten(sheet.format(A), held("a.jpg", "b.jpg"), FileKind.CSS) == sheet.format(EXACT)


@pytest.mark.parametrize(
    "sheet",
    [
        f"@import url({A}) screen; @namespace svg url({A});",
        f"@font-face{{font-family:x;src:url({A}),url({A})}}",
        f"/* url({A}) */ p{{content:'url({A})'}}",
        f"p{{background:url(/own.png)}} p{{x:notaurl({A})}}",
        f"p{{x:url({A} b)}}",
        f'p{{content:"{A}"}}',
    ],
)
def test_what_is_no_image_in_a_style_sheet(sheet: str) -> None:
    assert urls(sheet, FileKind.CSS) == []


def test_escapes_and_types_in_style_sheets() -> None:
    assert urls("p{background:url(https\\3a //img.example/a\\.jpg)}", FileKind.CSS) == [A]
    sheet = f'p{{background:image-set(url("{A}") type("image/avif") 1x, "{B}" type(\'image/webp\'))}}'
    assert rewritten(sheet, held("a.jpg", "b.jpg", formats=("webp",)), FileKind.CSS) == sheet.replace(A, EXACT).replace(
        B, local("b.jpg", "original.jpeg")
    ).replace("image/avif", "image/jpeg").replace("image/webp", "image/jpeg")


RSS = """<?xml version="1.0"?>\r
<rss xmlns:m="http://search.yahoo.com/mrss/" xmlns:content="http://purl.org/rss/1.0/modules/content/" \
xmlns:itunes="http://www.itunes.com/dtds/podcast-1.0.dtd"><channel><image><url> {a} </url></image>
<itunes:image href="{a}"/><item><link>{a}</link><guid>{a}</guid>
<enclosure url='{a}' length="{length}" type="{type}"/><enclosure url="{a}" length="1" type="audio/mpeg"/>
<m:content url="{a}" medium="image" width="{width}" height="{height}"/><m:thumbnail url="{a}"/>
<description>&lt;p&gt;x &amp;amp; &lt;img src="{a}"&gt;</description>
<content:encoded><![CDATA[<p>x<img src="{a}" srcset="{a} 2x"><!-- {a} -->]]></content:encoded></item></channel></rss>"""


def test_rss() -> None:
    before = RSS.format(a=A, length=7, type="image/webp", width=1, height=2)
    after = RSS.format(a=PUBLIC, length=1600 * 900, type="image/jpeg", width=1600, height=900)
    for kept in ("<link>{}</link>", "<guid>{}</guid>", '<enclosure url="{}" length="1"', "<!-- {} -->"):
        after = after.replace(kept.format(PUBLIC), kept.format(A))
    assert rewritten(before, held("a.jpg"), FileKind.FEED) == after


def test_atom() -> None:
    atom = """<feed xmlns="http://www.w3.org/2005/Atom"><icon>{a}</icon><logo>{a}</logo><id>https://img.example/a.jpg</id>
<entry><link rel="enclosure" type="image/jpeg" href="{a}"/><link href="https://img.example/a.jpg"/>
<content type="html">&lt;img src=&quot;{a}&quot;></content>
<content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><img src="{a}" alt="x"/></div></content></entry>
</feed>"""
    assert rewritten(atom.format(a=A), held("a.jpg"), FileKind.FEED) == atom.format(a=PUBLIC)


def test_sitemaps() -> None:
    sitemap = """<urlset xmlns:i="http://www.google.com/schemas/sitemap-image/1.1"><url><loc>https://img.example/</loc>
<i:image><i:loc>{a}</i:loc><i:caption>https://img.example/a.jpg</i:caption></i:image></url></urlset>"""
    assert rewritten(sitemap.format(a=A), held("a.jpg"), FileKind.FEED) == sitemap.format(a=PUBLIC)


def test_json_feed() -> None:
    feed = {
        "version": "https://jsonfeed.org/version/1.1",
        "icon": A,
        "home_page_url": A,
        "authors": [{"avatar": A}],
        "items": [
            {
                "id": A,
                "banner_image": A,
                "content_text": A,
                "content_html": f'<p>“x”</p>\n<img src="{A}">',
                "attachments": [{"url": A, "mime_type": "image/png", "size_in_bytes": 5}],
            }
        ],
    }
    text = json.dumps(feed)
    changed = json.loads(rewritten(text, held("a.jpg"), FileKind.JSON))
    item = changed["items"][0]
    assert (changed["icon"], changed["authors"][0]["avatar"], item["banner_image"]) == (PUBLIC, PUBLIC, PUBLIC)
    assert item["content_html"] == f'<p>“x”</p>\n<img src="{PUBLIC}">'
    assert item["attachments"] == [{"url": PUBLIC, "mime_type": "image/jpeg", "size_in_bytes": 1600 * 900}]
    assert (changed["home_page_url"], item["id"], item["content_text"]) == (A, A, A)


def test_web_app_manifests() -> None:
    text = (
        f'{{"icons":[{{"src":"{A}","sizes":"192x192"}}],"shortcuts":[{{"icons":[{{"src":"{A}"}}]}}],"start_url":"{A}"}}'
    )
    changed = rewritten(text, held("a.jpg"), FileKind.JSON, "site.webmanifest")
    assert changed == text.replace(f'"src":"{A}', f'"src":"{local("a.jpg", "original.jpeg", "")}')


@pytest.mark.parametrize(
    "text", ["", "{", '{"a":}', "[1,]", '{"a" 1}', "[" * 100_000, '{"icons":[{"src":"https://img.example/a.jpg"}]} x']
)
def test_a_file_that_is_not_json_is_an_error(text: str) -> None:
    assert isinstance(find(text.encode(), "x.json", FileKind.JSON, SITE), Unreadable)

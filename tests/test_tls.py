"""Certificates: by the name in the URL, whatever is connected to."""

from __future__ import annotations

import asyncio
import pathlib

import pytest
import trustme

from imgcache.errors import ConfigError, TlsFailure
from imgcache.models import Fetched
from imgcache.net.connect_to import ConnectTo
from tests.network import downloader, outcome, tls_origin


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(autouse=True)
def trusted(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    roots = tmp_path_factory.mktemp("roots") / "roots.pem"
    authority.cert_pem.write_to_path(str(roots))
    monkeypatch.setenv("SSL_CERT_FILE", str(roots))


@pytest.mark.parametrize(
    ("certified", "days", "expected"),
    [("pics.example.org", 1, None), ("other.example.org", 1, "not valid for"), ("pics.example.org", -1, "expired")],
)
def test_certificates_go_by_the_name_in_the_url(
    tmp_path: pathlib.Path, authority: trustme.CA, certified: str, days: int, expected: str | None
) -> None:
    async def scene() -> None:
        async with tls_origin(authority, certified, days=days) as origin:
            rule = ConnectTo.parse(f"pics.example.org:443:127.0.0.1:{origin.port}")
            async with downloader(tmp_path, connect_to=[rule]) as fetching:
                if expected is None:
                    assert isinstance(await fetching.fetch("https://pics.example.org/good"), Fetched)
                    assert b"\r\nHost: pics.example.org\r\n" in origin.requests[0]
                    return
                with pytest.raises(TlsFailure, match=expected):
                    await fetching.fetch("https://pics.example.org/good")
                assert origin.requests == []

    asyncio.run(scene())


def test_an_address_may_be_connected_elsewhere_too(tmp_path: pathlib.Path, authority: trustme.CA) -> None:
    async def scene() -> None:
        async with tls_origin(authority, "9.9.9.9") as origin:
            rule = ConnectTo.parse(f"9.9.9.9::127.0.0.1:{origin.port}")
            async with downloader(tmp_path, connect_to=[rule]) as fetching:
                assert await outcome(fetching, "https://9.9.9.9/good") == "ok"

    asyncio.run(scene())


def test_a_stranger_is_not_trusted_and_plain_http_is_no_tls(tmp_path: pathlib.Path) -> None:
    async def talk_plainly(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    async def scene() -> None:
        async with (
            tls_origin(trustme.CA(), "127.0.0.1") as stranger,
            await asyncio.start_server(talk_plainly, "127.0.0.1", 0) as plain,
            downloader(tmp_path) as fetching,
        ):
            with pytest.raises(TlsFailure, match="certificate is not good"):
                await fetching.fetch(stranger.url("/good", scheme="https"))
            port = plain.sockets[0].getsockname()[1]
            assert await outcome(fetching, f"https://127.0.0.1:{port}/good") == "tls"

    asyncio.run(scene())


def test_a_certificate_path_that_leads_nowhere_is_a_setting_to_mend(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        async with downloader(tmp_path):
            pass

    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    with pytest.raises(ConfigError, match="SSL_CERT_FILE"):
        asyncio.run(scene())

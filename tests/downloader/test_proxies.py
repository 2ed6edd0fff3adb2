"""Proxies of the environment are allowed, and their targets are still checked."""

from __future__ import annotations

import asyncio
import pathlib

import pytest
import trustme

from imgcache.core import ConfigError
from imgcache.downloader import Guard
from tests.support.faults import faults
from tests.support.network import Names, downloader, outcome, tls_origin


@pytest.fixture
def proxied(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "REQUEST_METHOD"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_a_proxy_is_allowed_and_its_targets_are_checked(tmp_path: pathlib.Path, proxied: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        names = Names(ok_org=[["8.8.8.8"]], mixed_org=[["8.8.8.8", "10.0.0.1"]], direct_org=[["127.0.0.1"]])
        async with faults() as origin:
            proxied.setenv("http_proxy", f"http://me:pass@127.0.0.1:{origin.port}")
            proxied.setenv("NO_PROXY", "direct.org")
            async with downloader(tmp_path, guard=Guard(), names=names) as fetching:
                assert await outcome(fetching, "http://ok.org/good") == "http-status"
                assert origin.requests[0].startswith(b"GET http://ok.org/good HTTP/1.1\r\n")
                assert b"Proxy-Authorization: Basic bWU6cGFzcw==\r\n" in origin.requests[0]
                for host in ("mixed.org", "127.0.0.1", "[::1]", "localhost", "db", "x.internal", "direct.org"):
                    assert await outcome(fetching, f"http://{host}/good") == "blocked-address"
                assert await outcome(fetching, "http://known-to-the-proxy.org/") == "http-status"
            assert len(origin.requests) == 2

    asyncio.run(scene())


def test_a_proxy_with_an_unknown_scheme_is_a_config_error(tmp_path: pathlib.Path, proxied: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        async with downloader(tmp_path):
            pass

    proxied.setenv("HTTPS_PROXY", "socks5://me:secret@127.0.0.1:1")
    with pytest.raises(ConfigError, match="HTTPS_PROXY") as caught:
        asyncio.run(scene())
    assert "secret" not in str(caught.value)


def test_https_goes_through_a_tunnel_to_the_name_in_the_url(
    tmp_path: pathlib.Path, proxied: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "roots.pem"))
    proxied.setenv("SSL_CERT_FILE", str(tmp_path / "roots.pem"))
    folder = tmp_path / "files"
    folder.mkdir()
    heads: list[bytes] = []

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
        writer.close()

    async def scene() -> None:
        async with tls_origin(authority, "ok.org") as origin:

            async def tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                heads.append(await reader.readuntil(b"\r\n\r\n"))
                there, here = await asyncio.open_connection("127.0.0.1", origin.port)
                writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
                await asyncio.gather(pipe(reader, here), pipe(there, writer))

            async with await asyncio.start_server(tunnel, "127.0.0.1", 0) as proxy:
                proxied.setenv("HTTPS_PROXY", f"me:pass@127.0.0.1:{proxy.sockets[0].getsockname()[1]}")
                async with downloader(folder, guard=Guard(), names=Names(ok_org=[["8.8.8.8"]])) as fetching:
                    assert await outcome(fetching, "https://ok.org/good") == "ok"
                    assert await outcome(fetching, "https://other.org/good") == "tls"
                    assert await outcome(fetching, "https://10.0.0.1/good") == "blocked-address"

    asyncio.run(scene())
    assert heads[0].startswith(b"CONNECT ok.org:443 HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic bWU6cGFzcw==\r\n" in heads[0]
    assert len(heads) == 2

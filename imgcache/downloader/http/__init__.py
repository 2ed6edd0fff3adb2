"""The layers of the HTTP client, from retries down to sockets; `imgcache/downloader/client.py` assembles them."""

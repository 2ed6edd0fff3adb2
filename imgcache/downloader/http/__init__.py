"""The network, one worry a file: addresses, proxies, certificates, politeness, retries, bodies."""

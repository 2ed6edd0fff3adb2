"""Stores records by URL and by digest, and the history of each URL, in SQLite."""

"""Stores originals and their variants under the SHA-256 of the original: in a folder or in an object store.

`protocol.py` says what a store can do; `local.py` and `objects.py` are the two stores.
"""

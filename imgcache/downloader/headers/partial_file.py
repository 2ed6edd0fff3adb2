"""A file of which only some parts are available. Pure."""

from __future__ import annotations

from imgcache.core import Undecodable


class MoreBytesNeeded(Exception):
    """The bytes from `start` up to `stop` are needed to continue and not available."""

    def __init__(self, start: int, stop: int) -> None:
        super().__init__(f"bytes {start} to {stop} are needed")
        self.start = start
        self.stop = stop


class PartialFile:
    """The available parts of one file.

    Attributes:
        head: the bytes from the beginning.
        total: the length of the whole file in bytes, None where it is unknown.
    """

    def __init__(self, head: bytes, total: int | None = None) -> None:
        self.head = head
        self.total = total
        self._parts: list[tuple[int, bytes]] = []

    def add(self, start: int, data: bytes) -> None:
        """Add the bytes from offset `start`; they are joined to a part that ends there."""
        if start == len(self.head):
            self.head += data
            return
        for number, (begin, part) in enumerate(self._parts):
            if begin + len(part) == start:
                self._parts[number] = (begin, part + data)
                return
        self._parts.append((start, data))

    def read(self, at: int, count: int) -> bytes:
        """Return `count` bytes from offset `at`.

        Raises:
            MoreBytesNeeded: some of them are not available.
            Undecodable: the file ends before them.
        """
        stop = at + count
        if stop <= len(self.head):
            return self.head[at:stop]
        if self.total is not None and stop > self.total:
            raise Undecodable("the file ends inside its header: it is truncated")
        missing = max(len(self.head), at)
        for start, part in self._parts:
            if start <= at <= start + len(part):
                if stop <= start + len(part):
                    return part[at - start : stop - start]
                missing = start + len(part)
        raise MoreBytesNeeded(missing, stop)

    def rest(self, at: int) -> bytes:
        """Return the available bytes from offset `at` up to the first gap, at least one. Raises as `read`."""
        if at < len(self.head):
            return self.head[at:]
        for start, part in self._parts:
            if start <= at < start + len(part):
                return part[at - start :]
        return self.read(at, 1)

    def integer(self, at: int, count: int, order: str = "big") -> int:
        """Return an unsigned integer of `count` bytes; `order` is big or little. Raises as `read`."""
        return int.from_bytes(self.read(at, count), "little" if order == "little" else "big")

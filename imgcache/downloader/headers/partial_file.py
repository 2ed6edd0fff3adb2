"""The parts of a file that are in hand, and what is asked for where they do not reach. Pure."""

from __future__ import annotations

from imgcache.core import Undecodable


class Needs(Exception):
    """The bytes from `start` up to `stop` are not in hand; with them it goes on."""

    def __init__(self, start: int, stop: int) -> None:
        super().__init__(f"bytes {start} to {stop} are needed")
        self.start = start
        self.stop = stop


class Pieces:
    """Parts of one file, by their place in it. `total` is the file's length in bytes, None where it is not known."""

    def __init__(self, head: bytes, total: int | None = None) -> None:
        self.head = head
        self.total = total
        self._others: list[tuple[int, bytes]] = []

    def add(self, start: int, piece: bytes) -> None:
        """Take in one more part; where it goes on from one that is held, the two become one."""
        if start == len(self.head):
            self.head += piece
            return
        for number, (begin, held) in enumerate(self._others):
            if begin + len(held) == start:
                self._others[number] = (begin, held + piece)
                return
        self._others.append((start, piece))

    def take(self, at: int, count: int) -> bytes:
        """`count` bytes from `at` on.

        Raises:
            Needs: they are not all in hand.
            Undecodable: the file ends before them.
        """
        stop = at + count
        if stop <= len(self.head):
            return self.head[at:stop]
        if self.total is not None and stop > self.total:
            raise Undecodable("the file ends inside its header: it is cut off")
        missing = max(len(self.head), at)
        for start, piece in self._others:
            if start <= at <= start + len(piece):
                if stop <= start + len(piece):
                    return piece[at - start : stop - start]
                missing = start + len(piece)
        raise Needs(missing, stop)

    def rest(self, at: int) -> bytes:
        """All that is in hand from `at` on without a gap, at least one byte. Raises as `take`."""
        if at < len(self.head):
            return self.head[at:]
        for start, piece in self._others:
            if start <= at < start + len(piece):
                return piece[at - start :]
        return self.take(at, 1)

    def number(self, at: int, count: int, order: str = "big") -> int:
        """An unsigned number of `count` bytes; `order` is big or little. Raises as `take`."""
        return int.from_bytes(self.take(at, count), "little" if order == "little" else "big")

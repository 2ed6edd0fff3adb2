"""`python -m examples.origin`: the origin as a process of its own."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
from pathlib import Path
from urllib.parse import quote

from examples.origin.answers import Answer, Answers, read_answers
from examples.origin.server import Origin
from examples.origin.site import answers_for

_EPILOG = """
The first line on standard output is an object with the ports (http, https; closed is one that refuses), the CA file
that signs for every host, the number of URLs that have an answer, and connect_to: the options that lead imgcache here.
GET http://127.0.0.1:PORT/-/requests gives the requests so far. The origin ends on SIGTERM, after --max-time, or when
the process that started it has ended.
"""


def main() -> None:
    """Parse the arguments, serve, and end in time."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.origin", description="Answer for any host on loopback.", epilog=_EPILOG
    )
    parser.add_argument(
        "site", nargs="?", type=Path, help="answer for every remote image of this site, as its origin.yml says"
    )
    parser.add_argument(
        "--answers", type=Path, metavar="FILE", help="a YAML file of URL to answer, which goes before the site's"
    )
    parser.add_argument("--folder", type=Path, metavar="DIR", help="serve the files of this folder, at --host")
    parser.add_argument("--host", action="append", help="a host of --folder (files.example); repeatable")
    parser.add_argument("--max-time", type=float, default=600, metavar="SECONDS", help="end by itself (%(default)s)")
    parser.add_argument(
        "--parent",
        type=int,
        metavar="PID",
        default=os.getppid(),
        help="the process to end with; tell it where that may end before this one has started",
    )
    options = parser.parse_args()
    answers = answers_for(options.site) if options.site else Answers()
    for path in sorted(options.folder.iterdir()) if options.folder else []:
        for host in options.host or ["files.example"]:
            answers.set(f"{host}/{quote(path.name)}", Answer(file=path))
    for url, answer in read_answers(options.answers).items() if options.answers else ():
        answers.set(url, answer)
    asyncio.run(_serve(answers, options.max_time, options.parent))


async def _serve(answers: Answers, max_time: float, parent: int) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    end = loop.time() + max_time
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with Origin(answers) as origin:
        said = {
            "http": origin.http_port,
            "https": origin.https_port,
            "closed": origin.closed_port,
            "ca": str(origin.ca_file),
        }
        print(json.dumps({**said, "answers": len(answers), "connect_to": origin.connect_to}), flush=True)
        while not stop.is_set() and os.getppid() == parent and loop.time() < end:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), 0.5)


if __name__ == "__main__":
    main()

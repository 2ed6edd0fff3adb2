"""`scripts/release`: a source archive and a wheel in dist/, checked, with licences and a list of parts (SBOM).

Nothing is uploaded. Without --quick, both are installed into empty environments, by pip and, where they are on the
machine, by pipx and uv, with every Python from 3.11 on.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
NEWEST = 20  # the last minor version of Python 3 that is looked for
# What a user needs that is no Python, by a file of each kind.
NEEDED = ("imgcache/py.typed", "imgcache/cache/__init__.pyi", "imgcache/publisher/plugins/sphinx.py")
_UNWANTED = ("cache/", "tests/", "docs/", ".git/", ".env", ".venv")


class ReleaseFailed(Exception):
    """A check failed. The message says which."""


def main() -> int:
    """Build and check. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="scripts/release", description=__doc__)
    parser.add_argument("--output", type=Path, default=ROOT / "dist", metavar="DIR", help="default: dist")
    parser.add_argument("--quick", action="store_true", help="build and check only; install nothing")
    options = parser.parse_args()
    output: Path = options.output.resolve()
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    try:
        wheel = build(output)
        if not options.quick:
            install(wheel, output)
    except (ReleaseFailed, subprocess.CalledProcessError) as error:
        print(f"scripts/release: {error}", file=sys.stderr)
        return 1
    for file in sorted(output.iterdir()):
        print(f"{file.stat().st_size:>10,}  {file.name}")
    return 0


def build(output: Path) -> Path:
    """Build both archives, check their descriptions and contents, and write contents.txt. Returns the wheel."""
    _run(sys.executable, "-m", "build", "--no-isolation", "--outdir", output, ROOT)
    (wheel,), (archive,) = output.glob("*.whl"), output.glob("*.tar.gz")
    _run(sys.executable, "-m", "twine", "check", "--strict", wheel, archive)
    with zipfile.ZipFile(wheel) as opened:
        in_wheel = sorted(opened.namelist())
    with tarfile.open(archive) as source:
        in_archive = sorted(name.partition("/")[2] for name in source.getnames() if "/" in name)
    sources = {path.relative_to(ROOT).as_posix() for path in tracked() if path.is_relative_to(ROOT / "imgcache")}
    for name, found in ((wheel.name, set(in_wheel)), (archive.name, set(in_archive))):
        if missing := (sources | set(NEEDED)) - found:
            raise ReleaseFailed(f"{name} lacks {', '.join(sorted(missing)[:5])}")
        others = (entry for entry in found if not entry.startswith("docs/man/"))
        if unwanted := [entry for entry in others if entry.startswith(_UNWANTED) or "__pycache__" in entry]:
            raise ReleaseFailed(f"{name} has {', '.join(sorted(unwanted)[:5])}")
    lines = [wheel.name, *(f"  {entry}" for entry in in_wheel), archive.name, *(f"  {entry}" for entry in in_archive)]
    (output / "contents.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return wheel


def tracked() -> Iterator[Path]:
    """Yields the files that git knows."""
    listed = subprocess.run(["git", "ls-files", "-z", "imgcache"], cwd=ROOT, capture_output=True, check=True)
    yield from (ROOT / os.fsdecode(name) for name in listed.stdout.split(b"\0") if name)


def install(wheel: Path, output: Path) -> None:
    """Install the wheel into empty environments, run it, and write licences.md and sbom.cdx.json."""
    with tempfile.TemporaryDirectory(prefix="imgcache-release-") as folder:
        work = Path(folder)
        for number, python in enumerate(pythons()):
            environment = work / f"pip-{number}"
            _run(python, "-m", "venv", environment)
            interpreter = environment / "bin" / "python"
            _run(interpreter, "-m", "pip", "install", "--quiet", wheel)
            try_out(environment / "bin" / "imgcache")
            if number == 0:
                describe(interpreter, output)
        if pipx := shutil.which("pipx"):
            home = {"PIPX_HOME": str(work / "pipx"), "PIPX_BIN_DIR": str(work / "pipx-bin")}
            _run(pipx, "install", "--quiet", wheel, environment=home)
            try_out(work / "pipx-bin" / "imgcache")
        else:
            print("pipx is not on this machine: the wheel is not tried with it")
        if uv := shutil.which("uv"):
            home = {"UV_TOOL_DIR": str(work / "uv"), "UV_TOOL_BIN_DIR": str(work / "uv-bin")}
            _run(uv, "tool", "install", "--quiet", wheel, environment=home)
            try_out(work / "uv-bin" / "imgcache")
        else:
            print("uv is not on this machine: the wheel is not tried with it")


def pythons() -> Iterator[str]:
    """Yields every Python from 3.11 on that is on the path or in pyenv, this one first."""
    yield sys.executable
    versions = sorted(Path("~/.pyenv/versions").expanduser().glob("3.*/bin"))
    path = os.pathsep.join([*map(str, versions), os.environ["PATH"]])  # pyenv's own commands may refuse to start
    for minor in range(11, NEWEST):
        found = shutil.which(f"python3.{minor}", path=path)
        if found and minor != sys.version_info.minor:
            yield found


def try_out(program: Path) -> None:
    """Run an installed imgcache: its version, its help, and a command."""
    print(f"{program}: {_output(program, '--version')}")
    _output(program, "--help")
    with tempfile.TemporaryDirectory() as site:
        (Path(site) / "one.md").write_text("---\ntitle: One\n---\n![](https://images.example.com/a.png)\n")
        if '"references":1' not in _output(program, "sync", "--dry-run", "--json", site):
            raise ReleaseFailed(f"{program} does not find the image of an article")


def describe(interpreter: Path, output: Path) -> None:
    """Write the licences and the parts of an environment that has imgcache alone."""
    columns = ("--format=markdown", "--with-urls", "--order=license")
    _run(BIN / "pip-licenses", "--python", interpreter, *columns, "--output-file", output / "licences.md")
    parts = ("--pyproject", ROOT / "pyproject.toml", "--output-format", "JSON", "--output-reproducible")
    _run(BIN / "cyclonedx-py", "environment", interpreter, *parts, "--output-file", output / "sbom.cdx.json")


def _run(*words: object, environment: dict[str, str] | None = None) -> None:
    command = [str(word) for word in words]
    ended = subprocess.run(
        command, env=os.environ | (environment or {}), cwd=ROOT, capture_output=True, text=True, check=False
    )
    if ended.returncode:
        raise ReleaseFailed(f"{' '.join(command)}\n{ended.stdout}{ended.stderr}")


def _output(*words: object) -> str:
    bare = {key: value for key, value in os.environ.items() if not key.startswith(("IMGCACHE_", "PYTHON"))}
    command = [str(word) for word in words]
    return subprocess.run(command, env=bare, capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())

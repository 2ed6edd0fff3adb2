"""What others run in CI: the action, the hook, and the commands of docs/ci.md."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from PIL import Image

from tests.conftest import ROOT, Command, article

ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
HOOKS = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
STEPS: list[dict[str, Any]] = ACTION["runs"]["steps"]
SCRIPTS = [step for step in STEPS if "run" in step]

_EXPRESSION = re.compile(r"\$\{\{ *(.*?) *\}\}")
_INPUT = re.compile(r"\binputs\.([\w-]+)")
_OUTPUT = re.compile(r"\bsteps\.(\w+)\.outputs\.([\w-]+)")


def git(folder: Path, *words: str) -> None:
    who = {f"GIT_{role}_{key}": "t@e" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}
    bare = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull} | who
    subprocess.run(["git", "-C", str(folder), *words], check=True, capture_output=True, env=bare)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A site in the folder `my site` of a repository: one picture was missing before, one is missing since."""
    top = tmp_path / "repository"
    site = top / "my site"
    site.mkdir(parents=True)
    Image.new("RGB", (4, 3)).save(site / "here.png")
    (site / "old.md").write_text(article(("/gone.png", 4, 3)))
    (site / "new.md").write_text(article(("/here.png", 4, 3)))
    git(top, "init", "--quiet", "--initial-branch=main")
    git(top, "add", "--all")
    git(top, "commit", "--quiet", "--message", "before")
    (site / "new.md").write_text(article(("/here.png", 4, 3), ("/astray.png", 4, 3)))
    return top


# -- the action ------------------------------------------------------------------------------------------------------


def texts(node: object) -> list[str]:
    """All texts below a node of the file."""
    if isinstance(node, dict):
        return [text for value in node.values() for text in texts(value)]
    if isinstance(node, list):
        return [text for value in node for text in texts(value)]
    return [str(node)]


def test_every_input_that_is_used_is_declared_and_every_declared_one_is_used() -> None:
    used = {name for text in texts(ACTION["runs"]) for name in _INPUT.findall(text)}
    assert used == set(ACTION["inputs"])
    assert all({"description", "default"} <= entry.keys() for entry in ACTION["inputs"].values())


def test_every_input_is_in_the_document_with_its_default() -> None:
    lines = (ROOT / "docs/ci.md").read_text().splitlines()
    rows = [[cell.strip(" `") for cell in line.split("|")[1:3]] for line in lines if line.startswith("| `")]
    wanted = {name: str(entry["default"]) for name, entry in ACTION["inputs"].items()}
    assert dict(rows[-len(wanted) :]) == wanted


def test_outputs_refer_to_existing_steps() -> None:
    ids = {step["id"] for step in STEPS if "id" in step}
    wanted = {step for text in texts(ACTION) for step, _ in _OUTPUT.findall(text)}
    assert wanted <= ids
    written = (ROOT / "scripts/action_reports.py").read_text()
    assert all(f"{name}=" in written for name in ACTION["outputs"])


def test_no_script_contains_text_from_inputs() -> None:
    """An expression inside `run` is pasted into the program; in `env` it is a value."""
    assert SCRIPTS
    assert [step["run"] for step in SCRIPTS if _EXPRESSION.search(step["run"])] == []
    assert all(step["shell"] == "bash" for step in SCRIPTS)


def test_other_actions_are_pinned_to_a_major_version() -> None:
    used = [step["uses"] for step in STEPS if "uses" in step]
    assert used
    assert [name for name in used if not re.fullmatch(r"(actions|github)/[\w/-]+@v\d+", name)] == []


@pytest.mark.parametrize("step", SCRIPTS, ids=lambda step: step["name"])
def test_scripts_are_bash(step: dict[str, Any]) -> None:
    subprocess.run(["bash", "-n"], input=step["run"], text=True, check=True)


class Ran(msgspec.Struct):
    code: int
    out: str
    err: str
    outputs: dict[str, str]
    summary: str


def run_audit(repository: Path, folder: Path, **inputs: str) -> Ran:
    """The step that audits, as the runner runs it: inputs in the environment, output and summary in files."""
    (step,) = (step for step in STEPS if step.get("id") == "audit")
    given = {name: str(entry["default"]) for name, entry in ACTION["inputs"].items()}
    given |= {name.replace("_", "-"): value for name, value in inputs.items()}
    runner = {
        "RUNNER_TEMP": str(folder),
        "GITHUB_ACTION_PATH": str(ROOT),
        "GITHUB_OUTPUT": str(folder / "output"),
        "GITHUB_STEP_SUMMARY": str(folder / "summary"),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    folder.mkdir(exist_ok=True)
    script = folder / "script.sh"
    script.write_text(step["run"])
    ended = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
        cwd=repository,
        env=runner | {key: substituted(value, given) for key, value in step["env"].items()},
        capture_output=True,
        text=True,
        check=False,
    )
    written = {name: (folder / name).read_text() if (folder / name).exists() else "" for name in ("output", "summary")}
    outputs = dict(line.split("=", 1) for line in written["output"].splitlines())
    return Ran(ended.returncode, ended.stdout, ended.stderr, outputs, written["summary"])


def substituted(text: str, inputs: Mapping[str, str]) -> str:
    return _EXPRESSION.sub(lambda found: inputs[found[1].removeprefix("inputs.")], text)


def test_the_action_annotates_summarizes_and_fails_for_new_findings(repository: Path, tmp_path: Path) -> None:
    ran = run_audit(repository, tmp_path / "runner", site="my site", since="HEAD", offline="true")
    assert ran.code == 0, ran
    assert ran.outputs["verdict"] == "failed"
    errors = [line for line in ran.out.splitlines() if line.startswith("::error ")]
    assert len(errors) == 1
    assert errors[0].startswith("::error file=my site/new.md,line=7,col=10,title=missing-file::")
    assert "astray" in ran.summary
    sarif = json.loads(Path(ran.outputs["sarif"]).read_text())
    assert sorted(result["baselineState"] for result in sarif["runs"][0]["results"]) == ["new", "unchanged"]
    assert json.loads(Path(ran.outputs["json"]).read_text())["summary"]["old"] == 1


@pytest.mark.parametrize(
    ("inputs", "verdict"),
    [
        ({"since": "HEAD", "fail_on": "never"}, "well"),
        ({"since": "HEAD", "args": "--config  empty.yml\n-v"}, "failed"),
    ],
)
def test_an_input_decides_what_fails_the_job(
    repository: Path, tmp_path: Path, inputs: dict[str, str], verdict: str
) -> None:
    (repository / "empty.yml").touch()
    ran = run_audit(repository, tmp_path / "runner", site="my site", offline="true", **inputs)
    assert (ran.code, ran.outputs.get("verdict")) == (0, verdict), ran


@pytest.mark.parametrize(
    "inputs",
    [
        {"since": "--output=stolen$(touch stolen)"},
        {"args": "; touch stolen $(touch stolen) `touch stolen`"},
        {"site": "$(touch stolen)"},
        {"fail_on": "sometimes; touch stolen"},
    ],
)
def test_an_invalid_input_ends_the_step_before_anything_runs(
    repository: Path, tmp_path: Path, inputs: dict[str, str]
) -> None:
    ran = run_audit(repository, tmp_path / "runner", **({"site": "my site", "offline": "true"} | inputs))
    assert ran.code == 2, ran
    assert ran.err
    assert ran.outputs == {}
    assert not list(tmp_path.rglob("stolen"))


# -- the hook --------------------------------------------------------------------------------------------------------


def test_the_hook_audits_the_changes_of_a_commit(repository: Path, run: Command) -> None:
    (hook,) = HOOKS
    assert (hook["id"], hook["language"], hook["pass_filenames"]) == ("imgcache-audit", "python", False)
    program, *words = hook["entry"].split()
    assert program == "imgcache"
    site = repository / "my site"
    ended = run(*words, site)
    assert ended.code == 1
    assert "astray" in ended.out
    (site / "new.md").write_text(article(("/here.png", 4, 3), body="Nothing but text came."))
    ended = run(*words, site)
    assert ended.code == 0, ended
    (site / "here.png").unlink()
    assert run(*words, site).code == 1


# -- the document ----------------------------------------------------------------------------------------------------


def test_documented_workflows_are_valid_yaml_with_existing_commands() -> None:
    text = (ROOT / "docs/ci.md").read_text()
    blocks = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 4
    workflow = yaml.safe_load(blocks[0])
    assert workflow["permissions"] == {"contents": "read", "security-events": "write"}
    (ours,) = (step["with"] for step in workflow["jobs"]["audit"]["steps"] if "imgcache@" in step["uses"])
    assert ours.keys() <= ACTION["inputs"].keys()
    assert yaml.safe_load(blocks[2]) == {"budget": {"hosts": 0}}
    (repository,) = yaml.safe_load(blocks[3])["repos"]
    assert [hook["id"] for hook in repository["hooks"]] == [hook["id"] for hook in HOOKS]
    commands = re.findall(r"imgcache (audit|watch)((?: --?[\w-]+(?: [\w./\"$-]+)?)*)", text)
    assert {command for command, _ in commands} == {"audit", "watch"}
    for command, words in commands:
        parameters = import_module(f"imgcache.cli.{command}").__dict__[command].params
        known = {name for parameter in parameters for name in parameter.opts}
        assert {word for word in words.split() if word.startswith("--")} <= known, words


def test_the_shell_lines_of_the_document_run(repository: Path) -> None:
    """Those that audit: in the site's folder, with the names that a CI server gives."""
    text = (ROOT / "docs/ci.md").read_text()
    lines = re.findall(r"^(?: +- |\$ )(imgcache audit .*)$", text, re.MULTILINE)
    lines += re.findall(r"sh '(imgcache audit [^']*)'", text)
    git(repository, "update-ref", "refs/remotes/origin/main", "HEAD")
    built = repository / "my site" / "_site"
    built.mkdir()
    (built / "index.html").write_text("<p>no image")
    names = {"CI_MERGE_REQUEST_DIFF_BASE_SHA": "HEAD", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    statuses = []
    for line in lines:
        ended = subprocess.run(
            ["bash", "-c", line], cwd=repository / "my site", env=names, capture_output=True, text=True, check=False
        )
        statuses.append(ended.returncode)
        assert ended.stderr == "", line
    assert statuses == [1, 1, 1, 1, 0, 1]  # with the baseline that the line before it wrote, nothing is new

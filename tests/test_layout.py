"""The shape of the repository: what must hold in every part, now and for the next one."""

import json
import re
import subprocess
import tomllib

import pytest

from carbonshift.common.errors import CarbonShiftError

PARTS = ("libs/common", "libs/training", "libs/backtest", "cli", *(
    f"services/{name}" for name in ("ingest", "decide", "forecast", "explain", "gpu-worker", "dashboard")
))  # fmt: skip


def project(repository, part):
    return tomllib.loads((repository / part / "pyproject.toml").read_text())["project"]


def package(repository, part):
    (folder,) = (path for path in (repository / part / "src" / "carbonshift").iterdir() if path.is_dir())
    return folder


def test_every_part_is_in_the_workspace(repository):
    lines = (repository / "workspace.txt").read_text().splitlines()
    assert {line.removeprefix("-e ./") for line in lines if line.startswith("-e")} == set(PARTS)
    found = {
        str(path.parent.relative_to(repository))
        for path in repository.glob("*/*/pyproject.toml")
        if ".venv" not in str(path)
    }
    assert found | {"cli"} == set(PARTS)


@pytest.mark.parametrize("part", PARTS)
def test_no_part_hides_the_others(repository, part):
    """One `carbonshift/__init__.py` anywhere and the namespace is gone."""
    assert not (repository / part / "src" / "carbonshift" / "__init__.py").exists()
    assert (package(repository, part) / "__init__.py").exists()
    assert (package(repository, part) / "py.typed").exists()


@pytest.mark.parametrize("part", PARTS)
def test_a_part_declares_the_siblings_it_imports(repository, part):
    own = package(repository, part).name
    imported = {
        match
        for file in package(repository, part).rglob("*.py")
        for match in re.findall(r"^\s*(?:from|import) carbonshift\.(\w+)", file.read_text(), re.MULTILINE)
    } - {own}
    declared = {
        name.replace("-", "_")
        for dependency in project(repository, part)["dependencies"]
        for name in re.findall(r"^carbonshift-([a-z-]+)", dependency)
    }
    assert imported <= declared
    assert declared - imported <= ({"dashboard"} if part == "cli" else set())  # started, not imported


@pytest.mark.parametrize("part", PARTS)
def test_a_part_says_what_it_is(repository, part):
    about = project(repository, part)
    assert about["requires-python"] == ">=3.11"
    assert about["license"] == "Apache-2.0"
    assert len((repository / part / "README.md").read_text()) > 200


def test_the_committed_asyncapi_is_what_the_code_says(repository, carbonshift):
    committed = (repository / "docs" / "asyncapi.json").read_text()
    result = carbonshift("schema")
    assert result.returncode == 0, result.stderr
    assert result.stdout == committed, "run `make docs`"
    document = json.loads(committed)
    assert {channel["address"] for channel in document["channels"].values()} >= {
        "carbonshift.tick.{region}", "carbonshift.worker.{worker}.telemetry", "carbonshift.dlq.{service}",
    }  # fmt: skip


def test_the_committed_settings_are_what_the_code_says(repository):
    from carbonshift.cli.settings_table import settings_table

    assert (repository / "docs" / "settings.md").read_text() == settings_table(), "run `make docs`"


def test_errors_are_raised_with_a_remedy():
    with pytest.raises(TypeError):
        CarbonShiftError("no remedy")  # type: ignore[call-arg]


def test_the_repository_holds_no_path_of_a_machine(repository):
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=repository, capture_output=True, check=True,
    )  # fmt: skip
    suspicious = re.compile(rb"/(?:root|work)/[a-z]")
    for name in filter(None, listed.stdout.decode().split("\0")):
        file = repository / name
        if file.is_file() and file.suffix in {".py", ".md", ".toml", ".txt", ".json", ".yaml", ".html", ".js", ".svg"}:
            assert not suspicious.search(file.read_bytes()), name

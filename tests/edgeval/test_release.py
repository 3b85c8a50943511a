"""What is released: the same bytes from the same sources, everything in them that belongs, and nothing else."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
PACKAGES = ("edgeval", "hls", "fault_injection")
JUNK = (
    "runs/digits/run.json",
    ".venv/lib/x.py",
    "edgeval/__pycache__/cli.cpython-311.pyc",
    ".pytest_cache/v/x",
    "dist/x",
)


def sources() -> list[str]:
    """Files of the repository; of an unpacked sdist, all but what its builder adds."""
    if (ROOT / ".git").exists():
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        return sorted(name for name in listed.split("\0") if name and (ROOT / name).exists())
    manifest = ROOT / "PKG-INFO"
    assert manifest.exists(), "neither a repository nor an sdist"
    files = [path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file()]
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    folders = {line.rstrip("/") for line in ignored if line.endswith("/")}
    kept = [path.as_posix() for path in files if folders.isdisjoint(path.parts)]
    return sorted(name for name in kept if name != "PKG-INFO")


def build(folder: Path) -> Path:
    """Copy the sources and junk beside them into a folder, and build there; returns where both files are."""
    tree = folder / "tree"
    for name in sources():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, tree / name)
    for name in JUNK:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).touch()
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "1764000000"}
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder / "dist"), str(tree)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "dist"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The release, built twice in folders of different names; the wheel from the sdist, not from the tree."""
    return [build(tmp_path_factory.mktemp(name)) for name in ("one", "another-place")]


def file_in(folder: Path, suffix: str) -> Path:
    (path,) = folder.glob(f"*{suffix}")
    return path


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".whl", ".tar.gz"])
def test_the_same_sources_give_the_same_bytes_wherever_they_lie(built: list[Path], suffix: str) -> None:
    digests = {hashlib.sha256(file_in(folder, suffix).read_bytes()).hexdigest() for folder in built}
    assert len(digests) == 1


@pytest.mark.slow
def test_the_sdist_is_the_repository_without_junk(built: list[Path]) -> None:
    with tarfile.open(file_in(built[0], ".tar.gz")) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert names == {*sources(), "PKG-INFO"}


@pytest.mark.slow
def test_the_wheel_holds_every_file_of_its_packages_and_no_other(built: list[Path]) -> None:
    with zipfile.ZipFile(file_in(built[0], ".whl")) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == {name for name in sources() if name.startswith(tuple(f"{package}/" for package in PACKAGES))}
    assert {"hls/cpp/nnet_edgeval.h", "fault_injection/cpp/edgeval_values.cpp", "edgeval/report/page.css"} <= names
    assert {f"{package}/py.typed" for package in PACKAGES} <= names


@pytest.mark.slow
def test_the_wheel_says_what_it_is(built: list[Path]) -> None:
    with zipfile.ZipFile(file_in(built[0], ".whl")) as archive:
        folder = f"edgeval_toolkit-{VERSION}.dist-info"
        metadata = archive.read(f"{folder}/METADATA").decode()
        entries = archive.read(f"{folder}/entry_points.txt").decode()
    assert "License-Expression: Apache-2.0" in metadata
    assert "Description-Content-Type: text/markdown" in metadata
    assert "edgeval = edgeval.cli:main" in entries


# What is told about a release.


def test_the_version_is_one_and_the_same_everywhere() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert citation["version"] == VERSION
    versions = re.findall(r"^## \[(.+?)\]", changelog, re.MULTILINE)
    assert versions == ["Unreleased"] or VERSION in versions


def test_the_changelog_has_the_form_of_keep_a_changelog() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert text.startswith("# Changelog\n")
    sections = re.findall(r"^### (.+)$", text, re.MULTILINE)
    assert sections
    assert set(sections) <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert re.findall(r"^## \[(.+?)\]", text, re.MULTILINE)[0] == "Unreleased"


def test_the_citation_fits_its_schema() -> None:
    pytest.importorskip("check_jsonschema", reason="no check-jsonschema: pip install 'edgeval-toolkit[dev]'")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.citation-file-format"]
    done = subprocess.run([*command, str(ROOT / "CITATION.cff")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_every_paper_that_the_project_grows_from_can_be_cited() -> None:
    references = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))["references"]
    assert [(item["authors"][0]["family-names"], item["year"]) for item in references] == [
        ("Baldi", 2024),
        ("Sakarvadia", 2025),
        ("Wu", 2018),
    ]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert all(item["authors"][0]["family-names"] in readme for item in references)


@pytest.mark.parametrize("name", ["CHANGELOG.md", "CITATION.cff", "SECURITY.md", "LICENSE", "CONTRIBUTING.md"])
def test_the_repository_has_what_people_look_for(name: str) -> None:
    assert (ROOT / name).read_text(encoding="utf-8").strip()

"""Write the lock file of one Python version from pyproject.toml, or check that the lock files still fit it.

A lock holds every package that ``tools/setup-venv`` installs: the core, the ``molecules`` and ``dev`` extras, the
build back end and pip itself, each as ``name==version``. Run it with the Python that the lock is for, because
requirements depend on the Python that reads them::

    python3.12 requirements/lock.py                  # add and drop what pyproject.toml needs, keep other versions
    python3.12 requirements/lock.py --upgrade numpy  # and move numpy to its newest version
    python3.12 requirements/lock.py --upgrade        # and move everything to its newest version
    python3 requirements/lock.py --check             # compare all lock files with pyproject.toml; needs no network

A Python that has no lock yet starts from the versions of another one's, so that all locks stay close.

The CUDA packages that torch's default Linux wheel asks for are left out: torch pins them exactly, and a CPU build of
torch does not want them. To get there without downloading gigabytes, the resolver sees a stand-in for torch, made of
torch's own metadata less those requirements.

Needs nothing but the standard library; ``--check`` also needs ``packaging``, which every lock holds.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
import venv
import zipfile
from collections.abc import Iterable
from pathlib import Path

HERE = Path(__file__).resolve().parent
PYPROJECT = HERE.parent / "pyproject.toml"
EXTRAS = ("molecules", "dev")
PIP = "pip==26.2.1"  # tried with Python 3.11, 3.12 and 3.13
EDITABLES = "editables"  # hatchling imports it for an editable install, but does not bring it
CUDA = re.compile(r"(nvidia|cuda)-|triton\b")
STAND_IN = "edgeval.lock"  # local version of the stand-in for torch; sorts after "cpu" and "cu130"


def main() -> int:
    """Run the command line; 0 is done and true, 1 is a lock that does not fit."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--upgrade", nargs="*", metavar="NAME", help="take the newest versions (no names: of all)")
    parser.add_argument("--check", action="store_true", help="compare all lock files with pyproject.toml")
    options = parser.parse_args()
    if options.check:
        problems = list(check_locks())
        sys.stdout.writelines(f"{problem}\n" for problem in problems)
        return 1 if problems else 0
    path = HERE / f"lock-{python_version()}.txt"
    before = read_lock(starting_lock(path))
    upgraded = before if options.upgrade == [] else {canonical(name) for name in options.upgrade or ()}
    pins = resolve(read_requirements(), {name: pin for name, pin in before.items() if name not in upgraded})
    path.write_text(lock_text(pins), encoding="utf-8")
    sys.stdout.write(f"{path.name}: {len(pins)} packages, {len(pins.items() - before.items())} of them moved or new\n")
    return 0


def python_version() -> str:
    """Return the version of the Python that runs this, as in ``3.12``."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def canonical(name: str) -> str:
    """Return a package's name as the registries compare it: ``Jinja2`` and ``jinja_2`` become ``jinja2``."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_requirements() -> list[str]:
    """Return every requirement a lock must meet, as pyproject.toml writes it."""
    pyproject = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))
    project = pyproject["project"]
    extras = [requirement for extra in EXTRAS for requirement in project["optional-dependencies"][extra]]
    return [*project["dependencies"], *extras, *pyproject["build-system"]["requires"], EDITABLES, PIP]


def starting_lock(path: Path) -> Path:
    """Return the lock at ``path``; where there is none, that of the newest Python that has one."""
    known = sorted(HERE.glob("lock-3.*.txt"), key=lambda lock: int(lock.stem.rpartition(".")[2]))
    return path if path.exists() or not known else known[-1]


def read_lock(path: Path) -> dict[str, str]:
    """Return the versions that a lock holds, by canonical name; none where there is no file."""
    if not path.exists():
        return {}
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    pins = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {canonical(name): version for name, version in pins}


def lock_text(pins: dict[str, str]) -> str:
    """Return a lock file's text: a heading and one pin a line, by name."""
    heading = f"# Python {python_version()}, Linux. Written by requirements/lock.py from pyproject.toml: do not edit."
    return "\n".join([heading, *(f"{name}=={version}" for name, version in sorted(pins.items()))]) + "\n"


def resolve(requirements: list[str], kept: dict[str, str]) -> dict[str, str]:
    """Ask the pinned pip for versions that meet all requirements.

    Args:
        requirements: What must be met.
        kept: Versions not to move, by canonical name; a name that nothing requires has no effect.

    Returns:
        The version of every package needed, by canonical name, without local tags such as ``+cpu``.

    Raises:
        subprocess.CalledProcessError: No such set of versions exists, or pip failed; pip has said why on stderr.
    """
    torch = next(requirement for requirement in requirements if requirement.startswith("torch=="))
    with tempfile.TemporaryDirectory(prefix="edgeval-lock-") as folder:
        pip = make_pip(Path(folder) / "venv")
        version = make_stand_in(pip, torch, Path(folder))
        constraints = Path(folder) / "constraints.txt"
        pins = {**kept, "torch": version}
        constraints.write_text("".join(f"{name}=={pin}\n" for name, pin in pins.items()), encoding="utf-8")
        found = dry_run(pip, ["--find-links", folder, "--constraint", str(constraints), *requirements])
    return {canonical(item["name"]): item["version"].partition("+")[0] for item in found}


def make_pip(folder: Path) -> list[str]:
    """Make a virtual environment that holds the pinned pip, and return the command that runs it."""
    venv.create(folder, with_pip=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip"]
    subprocess.run([*pip, "install", "--quiet", PIP], check=True)
    return pip


def dry_run(pip: list[str], arguments: list[str]) -> list[dict[str, str]]:
    """Return the metadata of all packages that ``pip install`` would install into an empty environment."""
    command = [*pip, "install", "--dry-run", "--ignore-installed", "--quiet", "--report", "-", *arguments]
    report = subprocess.run(command, check=True, stdout=subprocess.PIPE, env={**os.environ, "PIP_NO_INPUT": "1"}).stdout
    return [item["metadata"] for item in json.loads(report)["install"]]


def make_stand_in(pip: list[str], torch: str, folder: Path) -> str:
    """Write a wheel with torch's metadata, no CUDA requirements and no content into ``folder``; return its version."""
    (metadata,) = dry_run(pip, ["--no-deps", torch])
    version = f"{metadata['version'].partition('+')[0]}+{STAND_IN}"
    needed = [line for line in metadata.get("requires_dist", ()) if not CUDA.match(line)]
    lines = ["Metadata-Version: 2.1", "Name: torch", f"Version: {version}", *(f"Requires-Dist: {x}" for x in needed)]
    info = f"torch-{version}.dist-info"
    with zipfile.ZipFile(folder / f"torch-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{info}/METADATA", "\n".join(lines) + "\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return version


def check_locks() -> Iterable[str]:
    """Yield one sentence for each requirement of pyproject.toml that a lock does not meet."""
    from packaging.requirements import Requirement  # only here: making a lock must need no installed package

    for path in sorted(HERE.glob("lock-3.*.txt")):
        pins = read_lock(path)
        python = path.stem.removeprefix("lock-")
        for requirement in map(Requirement, read_requirements()):
            if requirement.marker and not requirement.marker.evaluate({"python_version": python}):
                continue
            pin = pins.get(canonical(requirement.name))
            if pin is None or pin not in requirement.specifier:
                yield (
                    f"{path.name}: pyproject.toml wants {requirement}, the lock holds {pin or 'none'}; "
                    f"run python{python} requirements/lock.py --upgrade {requirement.name}"
                )


if __name__ == "__main__":
    sys.exit(main())

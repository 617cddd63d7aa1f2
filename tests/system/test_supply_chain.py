"""A wheel that is not byte for byte the one that the lock names is not installed; nor is anything that it asks for.

The Dockerfile's own step installs, from a folder in the index's place: made-up wheels of a few lines.
"""

import hashlib
import re
import shlex
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[2]
(STEP,) = re.findall(
    r"^RUN (\S+/pip install .* -r requirements.lock)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE
)


def wheel(folder: Path, name: str, *, needs: str = "") -> Path:
    """A wheel with one module."""
    path = folder / f"{name}-1.0-py3-none-any.whl"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n" + (f"Requires-Dist: {needs}\n" if needs else "")
    files = {
        f"{name}.py": "SAID = 'made up'\n",
        f"{name}-1.0.dist-info/METADATA": metadata,
        f"{name}-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: us\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{file},,\n" for file in [*files, f"{name}-1.0.dist-info/RECORD"])
    with ZipFile(path, "w") as archive:
        for file, text in {**files, f"{name}-1.0.dist-info/RECORD": record}.items():
            archive.writestr(file, text)
    return path


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def lock(folder: Path, path: Path, digest: str | None = None) -> None:
    known = digest or hashlib.sha256(path.read_bytes()).hexdigest()
    (folder / "requirements.lock").write_text(f"{path.name.partition('-')[0]}==1.0 \\\n    --hash=sha256:{known}\n")


def install(folder: Path) -> subprocess.CompletedProcess[str]:
    """The Dockerfile's step, with this folder as the only index there is."""
    _, *words = shlex.split(STEP)
    where = ["--no-index", "--find-links", str(folder), "--target", str(folder / "installed"), "--isolated"]
    command = [sys.executable, "-m", "pip", *words, *where, "--disable-pip-version-check"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def installed(folder: Path) -> set[str]:
    return {path.name for path in (folder / "installed").glob("*.py")}


def test_the_wheel_that_the_lock_names_is_installed_and_nothing_that_it_asks_for(tmp_path: Path) -> None:
    lock(tmp_path, wheel(tmp_path, "baker", needs="flour"))
    wheel(tmp_path, "flour")
    told = install(tmp_path)
    assert told.returncode == 0, told.stderr
    assert installed(tmp_path) == {"baker.py"}


@pytest.mark.parametrize("at", [40, -40], ids=["in what it holds", "in its list of files"])
def test_a_flipped_bit_in_a_wheel_is_refused(tmp_path: Path, at: int) -> None:
    path = wheel(tmp_path, "baker")
    lock(tmp_path, path)
    flip(path, at)
    told = install(tmp_path)
    assert told.returncode != 0
    assert "DO NOT MATCH THE HASHES" in told.stderr
    assert installed(tmp_path) == set()


def test_a_flipped_bit_in_the_lock_is_refused(tmp_path: Path) -> None:
    path = wheel(tmp_path, "baker")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    lock(tmp_path, path, f"{int(digest[0], 16) ^ 1:x}{digest[1:]}")
    assert "DO NOT MATCH THE HASHES" in install(tmp_path).stderr
    assert installed(tmp_path) == set()


def test_a_line_without_a_hash_is_refused(tmp_path: Path) -> None:
    wheel(tmp_path, "baker")
    (tmp_path / "requirements.lock").write_text("baker==1.0\n")
    assert "Hashes are required" in install(tmp_path).stderr
    assert installed(tmp_path) == set()


def test_what_would_have_to_be_built_here_is_refused(tmp_path: Path) -> None:
    """A source archive runs its maker's code while it is installed."""
    source = tmp_path / "baker-1.0.tar.gz"
    source.write_bytes(b"never opened")
    lock(tmp_path, source)
    assert "No matching distribution" in install(tmp_path).stderr


def test_users_and_image_install_alike() -> None:
    """`make install` takes the same care as the image."""
    (line,) = re.findall(
        r"^\t@\$\(PIP\) install (.*-r requirements.lock)$", (ROOT / "Makefile").read_text(), re.MULTILINE
    )
    assert set(line.split()) == set(shlex.split(STEP)[2:]) - {"--no-cache-dir"}

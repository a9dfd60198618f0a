"""Wheels and source packages made by tests: small, sound or hostile, no build tool needed."""

import io
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path


def wheel(
    folder: Path,
    name: str,
    version: str = "1.0",
    files: Mapping[str, str | bytes] | None = None,
    needs: Sequence[str] = (),
    without: Sequence[str] = (),
) -> Path:
    """A wheel with a module of its name, and `files`, whatever their names are.

    needs: requirements. without: names of dist-info files that are left out.
    """
    about = f"{name}-{version}.dist-info"
    lines = [f"Requires-Dist: {need}\n" for need in needs]
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{''.join(lines)}"
    content = {f"{name}.py": f"VERSION = {version!r}\n", **(files or {})}
    content[f"{about}/METADATA"] = metadata
    content[f"{about}/WHEEL"] = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    content[f"{about}/RECORD"] = "".join(f"{file},,\n" for file in [*content, f"{about}/RECORD"])
    path = folder / f"{name}-{version}-py3-none-any.whl"
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file, text in content.items():
            if file.removeprefix(f"{about}/") not in without:
                archive.writestr(zipfile.ZipInfo(file), text, zipfile.ZIP_DEFLATED)
    return path


def source_package(folder: Path, name: str, mark: Path) -> Path:
    """A source package whose build script leaves a mark."""
    files = {
        "setup.py": f"open({str(mark)!r}, 'w').close()\nfrom setuptools import setup\nsetup()\n",
        "setup.cfg": f"[metadata]\nname = {name}\nversion = 1.0\n",
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
    }
    path = folder / f"{name}-1.0.tar.gz"
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for file, text in files.items():
            about = tarfile.TarInfo(f"{name}-1.0/{file}")
            about.size = len(text)
            archive.addfile(about, io.BytesIO(text.encode()))
    return path

"""What is built for others to install holds the page, or is not built."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import urllib.request
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = b"<!doctype html><title>the page</title>"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What the build reads, with a page of one file."""
    folder = tmp_path / "checkout"
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "tools", folder / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", ".gitignore"):
        shutil.copy(ROOT / name, folder)
    (folder / "web" / "dist" / "assets").mkdir(parents=True)
    (folder / "web" / "dist" / "index.html").write_bytes(PAGE)
    (folder / "web" / "dist" / "assets" / "index-AAAAAAAA.js").write_bytes(b"//")
    return folder


def build(checkout: Path, target: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(checkout / "out")]
    return subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)


def test_the_installed_server_serves_the_page_of_the_wheel(checkout: Path, tmp_path: Path) -> None:
    assert build(checkout, "wheel").returncode == 0
    installed = tmp_path / "installed"
    with zipfile.ZipFile(next((checkout / "out").glob("*.whl"))) as wheel:
        wheel.extractall(installed)
    assert (installed / "ringthrough" / "web" / "assets" / "index-AAAAAAAA.js").is_file()
    script = (
        "import asyncio, pathlib, sys\n"
        "from ringthrough.server.app import ServerConfig, start\n"
        "async def main():\n"
        "    server = await start(ServerConfig(pathlib.Path(sys.argv[1]), port=0))\n"
        "    print(server.url, flush=True)\n"
        "    await asyncio.to_thread(sys.stdin.read)\n"
        "    await server.close()\n"
        "asyncio.run(main())\n"
    )
    server = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "data")],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(installed)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        with urllib.request.urlopen(server.stdout.readline().strip() + "/", timeout=30) as response:
            assert response.read() == PAGE
    finally:
        server.communicate("", timeout=30)


def test_the_sdist_holds_the_page_too(checkout: Path) -> None:
    assert build(checkout, "sdist").returncode == 0
    with tarfile.open(next((checkout / "out").glob("*.tar.gz"))) as sdist:
        names = {name.split("/", 1)[1] for name in sdist.getnames()}
    assert {"web/dist/index.html", "web/dist/assets/index-AAAAAAAA.js", "tools/hatch_page.py"} <= names


@pytest.mark.parametrize("target", ["wheel", "sdist"])
def test_nothing_is_built_without_the_page(checkout: Path, target: str) -> None:
    (checkout / "web" / "dist" / "index.html").unlink()
    built = build(checkout, target)
    assert built.returncode != 0
    assert "make web/dist/index.html" in built.stderr
    assert not list((checkout / "out").glob("*.*"))

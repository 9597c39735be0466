"""The shipped page beside what records it, and a server process for it that can be killed.

`python -m lab.browser.site DATA PORT PAGES` is that process; its first line ends with the address.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from pathlib import Path

from lab.processes import Running
from ringthrough.server.app import ServerConfig, start

HERE = Path(__file__).parent
WEB = HERE.parents[1] / "web"
BESIDE = ("tap-worklet.js", "witness.js")


def build(folder: Path) -> Path:
    """Build the page as it is shipped, the recorder's files beside it. Raises when it does not build."""
    npx = shutil.which("npx")
    if npx is None:
        raise FileNotFoundError("Node.js is needed to build the page")
    command = [npx, "--no-install", "vite", "build", "--logLevel", "error", "--outDir", str(folder), "--emptyOutDir"]
    subprocess.run(command, cwd=WEB, check=True)
    for name in BESIDE:
        shutil.copy(HERE / name, folder / name)
    return folder


def serving(data: Path, pages: Path, port: int = 0) -> tuple[Running, str]:
    """Start the server process; it and its origin."""
    data.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "lab.browser.site", str(data), str(port), str(pages)]
    running = Running(command, data.parent / "server.log")
    return running, running.line().split()[-1]


async def _serve(data: Path, port: int, pages: Path) -> None:
    server = await start(ServerConfig(data, port=port, page_dir=pages))
    print(f"http://localhost:{server.port}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])))

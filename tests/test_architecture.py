"""Rules about the tree itself: each is one short test, so that no habit can rot unseen."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from statistics import median

import ringthrough

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "ringthrough"
LINES_MAX = 600
LINES_MEDIAN_MAX = 200
PROMISE = re.compile(r"\bCANNOT-[A-Z]+(?:-[A-Z]+)*\b")
LATER = {"CANNOT-HIDE"}
"""Promises of later stages: named in the design, not made yet."""


def tracked(*suffixes: str) -> list[Path]:
    """Files that are part of the project."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    paths = [ROOT / line for line in listed.stdout.splitlines()]
    return [p for p in paths if p.is_file() and (not suffixes or p.suffix in suffixes)]


def test_the_import_rule_holds() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports")], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_files_stay_small() -> None:
    sizes = {p: len(p.read_text().splitlines()) for p in tracked(".py", ".ts", ".svelte") if "patches" not in p.parts}
    largest = sorted(sizes.items(), key=lambda item: -item[1])[:10]
    print("\n".join(f"{lines:5} {path.relative_to(ROOT)}" for path, lines in largest))
    assert largest[0][1] <= LINES_MAX
    sources = [lines for path, lines in sizes.items() if SOURCE in path.parents and lines]
    assert median(sources) < LINES_MEDIAN_MAX


def test_every_promise_has_a_test_and_every_marked_test_a_promise() -> None:
    table = (ROOT / "docs/threat-model.md").read_text().split("## The promises")[1].split("## Adversaries")[0]
    promised = set(re.findall(r"^\| (CANNOT-[A-Z-]+) \|", table, re.MULTILINE))
    marked = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        marked |= set(re.findall(r'mark\.promise\(\s*"(CANNOT-[A-Z-]+)"', path.read_text()))
    assert promised == marked


def test_code_names_only_promises_that_exist() -> None:
    promised = set(PROMISE.findall((ROOT / "docs/threat-model.md").read_text()))
    for path in tracked(".py", ".ts", ".md", ".toml"):
        named = set(PROMISE.findall(path.read_text())) - LATER
        assert named <= promised, f"{path.relative_to(ROOT)} names {named - promised}"


def test_every_module_has_a_docstring() -> None:
    for path in SOURCE.rglob("*.py"):
        text = path.read_text()
        if text.strip():
            assert ast.get_docstring(ast.parse(text)), f"{path.relative_to(ROOT)} does not say what it is for"


def test_tests_mirror_the_sources() -> None:
    """A test folder exists only where a source folder does, and every package has one."""
    packages = {p.relative_to(SOURCE) for p in SOURCE.rglob("*") if p.is_dir() and list(p.glob("*.py"))}
    folders = {
        p.relative_to(ROOT / "tests") for p in (ROOT / "tests").rglob("*") if p.is_dir() and list(p.glob("test_*.py"))
    }
    others = {"e2e", "bench", "lab", "web"}
    assert {f for f in folders if f.parts and f.parts[0] not in others} <= packages
    for package in ("protocol", "e2ee", "e2ee/mls", "audio", "server", "server/store", "client", "cli", "services"):
        assert Path(package) in folders, f"{package} has no tests"


def test_architecture_names_only_paths_that_exist() -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    for name in re.findall(r"`((?:src|web|lab|bench|tests|docs|vectors)[\w./-]*)`", text):
        assert (ROOT / name).exists(), name


def test_the_readme_and_the_docs_link_only_to_what_exists() -> None:
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
        prose = re.sub(r"```.*?```|``.*?``|`[^`\n]*`", "", page.read_text(), flags=re.DOTALL)
        for link in re.findall(r"\]\((?!https?:|#|mailto:|\?)([^)#]+)", prose):
            assert (page.parent / link).exists(), f"{page.relative_to(ROOT)} links to {link}"


def test_nothing_speaks_of_a_machine_or_a_registry() -> None:
    words = [
        "registry" + ".npmjs",
        "files.python" + "hosted",
        "pypi" + ".org",
        "deb.deb" + "ian",
        "/work" + "/",
        "/root" + "/",
    ]
    for path in tracked():
        if path.suffix in (".wav", ".png", ".g722"):
            continue
        text = path.read_bytes().decode(errors="replace")
        for word in words:
            assert word not in text, f"{path.relative_to(ROOT)} holds {word}"


def test_pure_packages_read_no_clock_and_make_no_randomness() -> None:
    forbidden = {"time", "random", "secrets", "datetime", "asyncio", "socket", "threading"}
    for package in ("protocol", "e2ee", "audio"):
        for path in (SOURCE / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                names = []
                if isinstance(node, ast.Import):
                    names = [alias.name.split(".")[0] for alias in node.names]
                elif isinstance(node, ast.ImportFrom) and node.level == 0:
                    names = [(node.module or "").split(".")[0]]
                assert not forbidden & set(names), f"{path.relative_to(ROOT)} imports {forbidden & set(names)}"
                if isinstance(node, ast.Attribute):
                    assert node.attr != "urandom", f"{path.relative_to(ROOT)} makes randomness"


def test_every_dependency_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *(d for extra in project["optional-dependencies"].values() for d in extra)]
    pinned = {line.split("==")[0].lower() for line in (ROOT / "constraints.txt").read_text().split()}
    for dependency in wanted:
        match = re.match(r"[A-Za-z0-9_.-]+", dependency)
        assert match is not None
        assert match[0].lower() in pinned, f"{match[0]} has no exact version in constraints.txt"


def test_the_version_is_said_once() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert ringthrough.__version__ == project["version"]

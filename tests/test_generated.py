"""Files that are generated from Python are what Python says now."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

TOOLS = Path(__file__).resolve().parents[1] / "tools"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, TOOLS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


WEB = load("generate_web")


@pytest.mark.parametrize("name", sorted(WEB.FILES))
def test_web_file_is_current(name: str) -> None:
    current = (WEB.CORE / name).read_text()
    assert current == WEB.FILES[name](), "stale: run python tools/generate_web.py"


def test_no_file_claims_to_be_generated_that_is_not() -> None:
    claims = {
        path.relative_to(WEB.CORE).as_posix()
        for path in WEB.CORE.rglob("*.ts")
        if path.read_text().startswith("// Generated")
    }
    assert claims == set(WEB.FILES)


def test_a_stale_file_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WEB, "CORE", tmp_path)
    assert WEB.stale() == list(WEB.FILES)
    for name, make in WEB.FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(make())
    assert WEB.stale() == []
    (tmp_path / "labels.ts").write_text("")
    assert WEB.stale() == ["labels.ts"]

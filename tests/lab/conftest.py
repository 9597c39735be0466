"""What the lab needs of a machine."""

from __future__ import annotations

import os

import pytest

from lab import namespaces


@pytest.fixture(scope="session")
def lab_ready() -> None:
    """Namespaces can be made; CI must not pass without them."""
    try:
        namespaces.check()
    except namespaces.LabUnavailable as e:
        if os.environ.get("CI"):
            pytest.fail(str(e))
        pytest.skip(str(e))

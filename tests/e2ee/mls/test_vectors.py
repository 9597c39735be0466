"""The 785 official cases. Without the files: skipped with a warning here, a failure where CI is set."""

from __future__ import annotations

import os
import warnings

import pytest

from tests.e2ee.mls import vectors


@pytest.mark.parametrize("name", vectors.FILES)
def test_official_vectors(name: str) -> None:
    where = vectors.folder()
    if not where.is_dir():
        message = "the official MLS vectors are missing: set RINGTHROUGH_MLS_VECTORS"
        if os.environ.get("CI"):
            pytest.fail(message)
        warnings.warn(message, stacklevel=1)
        pytest.skip(message)
    assert list(vectors.run_file(name, where)) == []


def test_all_official_cases_are_counted() -> None:
    assert vectors.TOTAL == 785

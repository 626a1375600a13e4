"""Folders for the tests of this room."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users may pass through; pytest's own are closed to them."""
    folder = Path(tempfile.mkdtemp(prefix="tg-pipe-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)

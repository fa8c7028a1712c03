"""Files that appear whole or not at all, and that are on disk once they have appeared."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path


def replace_file(
    path: Path, content: bytes, *, ready: Callable[[int], None] = lambda _: None
) -> None:
    """Put a file in place of what is there, if anything is.

    Args:
        path: its folder exists.
        content: of the file.
        ready: gets the descriptor of the complete file before it is in place. Until then it is its
            owner's alone, mode 0600; whatever this raises stops it.

    Raises:
        OSError: it cannot be done; what was there stays.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}-")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            ready(descriptor)
            os.fsync(descriptor)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Have the disk keep the names in a folder."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

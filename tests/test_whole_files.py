"""Files are written completely or not at all, and what a killed process left is removed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bayes_pref.whole_files import remove_unfinished, write_whole

# Holds a temporary file as a writer does, says so, and waits to be killed.
WRITER = """
import sys, time
from pathlib import Path
from bayes_pref.whole_files import write_whole

def contents():
    print("begun", flush=True)
    time.sleep(60)
    return [b"new"]

write_whole(Path(sys.argv[1]), contents)
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_and_keeps_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    write_whole(path, lambda: [b"old"])
    path.chmod(0o640)
    write_whole(path, lambda: [b"new", memoryview(b" and"), b"", b" longer"])
    assert path.read_bytes() == b"new and longer"
    assert path.stat().st_mode & 0o777 == 0o640
    assert names(tmp_path) == ["note.txt"]


def test_a_killed_writer_is_tidied_up_after_and_a_living_one_is_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "note.txt"
    target.write_bytes(b"old")
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(target)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == "begun\n"
    remove_unfinished(tmp_path)
    write_whole(tmp_path / "other.txt", lambda: [b"other"])
    assert len(names(tmp_path)) == 3
    writer.kill()
    writer.wait()
    writer.stdout.close()
    assert len(names(tmp_path)) == 3
    write_whole(tmp_path / "other.txt", lambda: [b"other"])
    assert names(tmp_path) == ["note.txt", "other.txt"]
    assert target.read_bytes() == b"old"


def test_files_of_others_are_never_removed(tmp_path: Path) -> None:
    others = [
        ".note.txt.tmp",
        ".unfinished",
        "note.12-0123456789abcdef.unfinished",
        ".x.unfinished",
    ]
    for name in others:
        (tmp_path / name).touch()
    (tmp_path / ".folder.12-0123456789abcdef.unfinished").mkdir()
    (tmp_path / ".link.12-0123456789abcdef.unfinished").symlink_to(tmp_path / others[0])
    remove_unfinished(tmp_path)
    assert len(names(tmp_path)) == len(others) + 2
    remove_unfinished(tmp_path / "absent")


def test_a_device_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="it is a folder or a device, no file"):
        write_whole(tmp_path / "pipe", lambda: [b"new"])
    assert names(tmp_path) == ["pipe"]


def test_a_name_as_long_as_the_system_allows_is_written(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 250 + ".nc")
    write_whole(path, lambda: [b"new"])
    assert path.read_bytes() == b"new"

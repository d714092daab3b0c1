import os
import stat

import pytest

from trio_gcs.errors import StartError
from trio_gcs.launch.files import create_event_logs, port_file, write_port_file


def test_the_port_is_told_as_bare_digits_and_nothing_stays_beside_it(tmp_path):
    path = port_file(tmp_path, "ab" * 28)
    write_port_file(path, 6379)
    assert path.name == "gcs_server_port_" + "ab" * 28
    assert path.read_bytes() == b"6379"
    write_port_file(path, 1)
    assert {entry.name for entry in tmp_path.iterdir()} == {path.name}
    assert path.read_bytes() == b"1"


def test_a_session_that_is_gone_is_named(tmp_path):
    with pytest.raises(StartError, match="gone"):
        write_port_file(port_file(tmp_path / "gone", "ab"), 1)


def test_the_event_logs_exist_and_keep_what_they_hold(tmp_path):
    create_event_logs(tmp_path / "logs")
    written = tmp_path / "logs" / "events" / "event_GCS.log"
    written.write_text("kept")
    create_event_logs(tmp_path / "logs")
    assert written.read_text() == "kept"
    exported = sorted(entry.name for entry in (tmp_path / "logs" / "export_events").iterdir())
    assert exported == [f"event_EXPORT_{kind}.log" for kind in ("ACTOR", "DRIVER_JOB", "NODE")]
    assert stat.S_IMODE(written.stat().st_mode) == 0o644 & ~_umask()


def test_a_log_directory_that_is_a_file_is_named(tmp_path):
    (tmp_path / "logs").write_text("")
    with pytest.raises(StartError, match="logs"):
        create_event_logs(tmp_path / "logs")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask

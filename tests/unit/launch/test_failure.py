import io
import json
import logging

import pytest
import structlog

from trio_gcs.errors import StartError, StoreError
from trio_gcs.launch.failure import Teller, cause_in_one_line
from trio_gcs.launch.files import EVENT_LOG, create_event_logs
from trio_gcs.launch.logs import ray_log_choice, start_logs


@pytest.fixture
def log():
    before, handlers, level = structlog.get_config(), logging.root.handlers[:], logging.root.level
    yield io.StringIO()
    structlog.configure(**before)
    logging.root.handlers[:], logging.root.level = handlers, level


def test_a_mistake_inside_nested_nurseries_is_one_line():
    error = ExceptionGroup("a", [ExceptionGroup("b", [StartError("port\ntaken")]), StoreError("disk full")])
    assert cause_in_one_line(error) == "port taken; disk full"


def test_a_bug_keeps_its_traceback(capsys):
    error = ExceptionGroup("a", [StartError("port taken"), KeyError("x")])
    assert cause_in_one_line(error) is None
    Teller(program="gcs_server").tell(error)
    told = capsys.readouterr().err
    assert "KeyError: 'x'" in told
    assert told.endswith("gcs_server: ended by a bug: StartError: port taken; KeyError: 'x'\n")


def test_a_bug_is_told_from_however_deep_among_the_nurseries_it_came(capsys):
    error: Exception = ValueError("the\nbug")
    for _ in range(20):
        error = ExceptionGroup("a nursery", [error])
    Teller(program="gcs_server").tell(error)
    told = capsys.readouterr().err
    assert "max_group_depth" not in told
    assert told.endswith("gcs_server: ended by a bug: ValueError: the bug\n")


def test_the_end_is_told_on_standard_error_in_the_log_and_in_the_event_log(tmp_path, capsys, log):
    create_event_logs(tmp_path)
    start_logs("json", "info", log)
    Teller(program="gcs_server", in_log=True, log_dir=tmp_path).tell(StartError("port taken"))
    assert capsys.readouterr().err == "gcs_server: port taken\n"
    assert json.loads(log.getvalue())["event"] == "port taken"
    event = json.loads((tmp_path / EVENT_LOG).read_text())
    assert (event["severity"], event["source_type"], event["message"]) == ("FATAL", "GCS", "port taken")


def test_an_event_log_that_cannot_be_written_does_not_hide_the_cause(tmp_path, capsys):
    Teller(program="gcs_server", log_dir=tmp_path / "gone").tell(StartError("port taken"))
    assert capsys.readouterr().err.startswith("gcs_server: port taken\ncannot write")


def test_logs_look_like_the_other_logs_of_a_session(log):
    start_logs("ray", "info", log)
    structlog.get_logger().debug("unheard")
    structlog.get_logger().warning("node died", node_id=b"\xab", probes=5)
    line = log.getvalue()
    assert line.endswith("(gcs_server) node died node_id=ab probes=5\n")
    assert line.startswith("[2")
    assert " W " in line


def test_what_libraries_log_goes_the_same_way(log):
    start_logs("json", "info", log)
    logging.getLogger("some.package").warning("%s failed", "it")
    told = json.loads(log.getvalue())
    assert (told["event"], told["logger"], told["level"]) == ("it failed", "some.package", "warning")


def test_a_person_s_console_shows_keys_and_tracebacks(log):
    start_logs("console", "debug", log)
    try:
        raise KeyError("x")
    except KeyError:
        structlog.get_logger().exception("it broke", node_id="ab")
    assert "node_id=ab" in log.getvalue()
    assert "KeyError: 'x'" in log.getvalue()


def test_ray_s_variables_choose_form_and_level():
    assert ray_log_choice({}) == ("ray", "info")
    assert ray_log_choice({"RAY_BACKEND_LOG_JSON": "1", "RAY_BACKEND_LOG_LEVEL": "WARNING"}) == ("json", "warning")
    assert ray_log_choice({"RAY_BACKEND_LOG_LEVEL": "loud"}) == ("ray", "info")

from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_gcs.launch.flags import Flags, read_flags

TEXT_FLAGS = [flag.name for flag in fields(Flags) if flag.default == "" and flag.name != "problem"]
NUMBER_FLAGS = [flag.name for flag in fields(Flags) if type(flag.default) is int]


@st.composite
def spelled(draw, name, value):
    name = "".join(draw(st.sampled_from("-_")) if letter == "_" else letter for letter in name)
    dashes = draw(st.sampled_from(["-", "--"]))
    return draw(st.sampled_from([[f"{dashes}{name}={value}"], [f"{dashes}{name}", f"{value}"]]))


@given(
    st.data(),
    st.dictionaries(st.sampled_from(TEXT_FLAGS), st.text().filter(lambda text: not text.startswith("-"))),
    st.dictionaries(st.sampled_from(NUMBER_FLAGS), st.integers()),
)
def test_every_spelling_of_a_flag_is_the_same_flag(data, texts, numbers):
    values = {**texts, **numbers}
    line = [word for name, value in values.items() for word in data.draw(spelled(name, value))]
    assert read_flags(line) == replace(Flags(), **values)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("--redis_enable_ssl", True),
        ("-redis-enable-ssl=true", True),
        ("--redis_enable_ssl=1", True),
        ("--redis_enable_ssl=false", False),
        ("--noredis_enable_ssl", False),
        ("--redis_enable_ssl=No", False),
    ],
)
def test_a_boolean_needs_no_value(argument, value):
    assert read_flags([argument, "--session-name=x"]) == Flags(redis_enable_ssl=value, session_name="x")


def test_the_line_that_ray_writes_is_understood():
    flags = read_flags(
        [
            "--log_dir=/s/logs",
            "--config_list=e30=",
            "--gcs_server_port=6379",
            "--metrics-agent-port=0",
            "--node-ip-address=10.0.0.1",
            "--session-name=session_1",
            "--ray-commit=abc",
            "--session-dir=/s",
            "--node-id=ab",
            "--stdout_filepath=/s/logs/gcs_server.out",
            "--stderr_filepath=/s/logs/gcs_server.err",
        ]
    )
    assert not flags.problem
    assert (flags.config_list, flags.gcs_server_port, flags.metrics_agent_port) == ("e30=", 6379, 0)
    assert (flags.session_dir, flags.stderr_filepath) == ("/s", "/s/logs/gcs_server.err")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (["--bogus=1"], "unknown command line flag '--bogus=1'"),
        (["word"], "unknown command line flag 'word'"),
        (["--problem=x"], "unknown command line flag"),
        (["--gcs_server_port=x"], "--gcs_server_port: a whole number was expected, not 'x'"),
        (["--gcs_server_port"], "--gcs_server_port needs a value"),
        (["--redis_enable_ssl=x"], "--redis_enable_ssl: true or false was expected, not 'x'"),
    ],
)
def test_a_mistake_is_kept_until_the_output_files_are_open(line, problem):
    flags = read_flags([*line, "--stderr_filepath=/e"])
    assert problem in flags.problem
    assert flags.stderr_filepath == "/e"


@given(st.lists(st.text()))
def test_no_line_makes_the_reader_fail(line):
    assert isinstance(read_flags(line), Flags)

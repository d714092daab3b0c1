import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_gcs.config import GcsConfig
from trio_gcs.ray_config import ConfigError, RayConfig


def test_every_key_of_ray_has_its_default():
    config = RayConfig.read()
    assert config.integer("health_check_period_ms") == 3000
    assert config.text("custom_unit_instance_resources").startswith("neuron_cores,TPU")
    assert config.integer("task_oom_retries") == 2**64 - 1
    assert config.fraction("scheduler_top_k_fraction") == 0.2
    assert config.names("enable_export_api_write_config") == ()
    assert config.text("AUTH_MODE") == "disabled"


def test_the_json_wins_over_the_environment_and_that_over_the_default():
    environ = {"RAY_health_check_period_ms": "7", "RAY_health_check_timeout_ms": "8", "RAY_no_such_key": "x"}
    config = RayConfig.read('{"health_check_period_ms": 9}', environ)
    assert config.integer("health_check_period_ms") == 9
    assert config.integer("health_check_timeout_ms") == 8
    assert config.integer("health_check_failure_threshold") == 5


@given(st.dictionaries(st.sampled_from(["event_stats", "enable_ray_event"]), st.booleans()), st.sampled_from([None, 1]))
def test_the_json_text_is_kept_to_the_letter(flags, indent):
    text = json.dumps(flags, indent=indent)
    config = RayConfig.read(text)
    assert config.json_text == text
    assert all(config.flag(key) is value for key, value in flags.items())


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"nope": 1}', "no configuration key 'nope'"),
        ('{"event_stats": 1}', "event_stats is of type bool, not 1"),
        ('{"health_check_period_ms": "3"}', 'health_check_period_ms is of type int64, not "3"'),
        ('{"health_check_period_ms": true}', "health_check_period_ms is of type int64, not true"),
        ('{"health_check_period_ms": NaN}', "not JSON"),
        ('{"health_check_period_ms": 1e400}', "does not fit"),
        ('{"health_check_period_ms": 9223372036854775808}', "does not fit"),
        ('{"enable_export_api_write_config": [1]}', "of type list"),
        ('{"gcs_storage": null}', "gcs_storage is of type string"),
        ("{bad", "not JSON"),
        ("[]", "not a JSON object but list"),
    ],
)
def test_a_bad_json_is_refused_in_one_line(text, complaint):
    with pytest.raises(ConfigError, match=complaint) as refused:
        RayConfig.read(text)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "text"),
    [("health_check_period_ms", "3x"), ("scheduler_spread_threshold", "much"), ("event_stats", "maybe")],
)
def test_a_bad_environment_variable_is_refused_by_name(name, text):
    with pytest.raises(ConfigError, match=f"RAY_{name}='{text}'"):
        RayConfig.read("", {f"RAY_{name}": text})


def test_numbers_are_read_as_ray_reads_them():
    config = RayConfig.read(
        '{"health_check_period_ms": 3.7, "maximum_gcs_dead_node_cached_count": -1, "scheduler_spread_threshold": 1}',
        {"RAY_event_stats": "FALSE", "RAY_enable_export_api_write_config": "EXPORT_ACTOR, EXPORT_NODE"},
    )
    assert config.integer("health_check_period_ms") == 3
    assert config.integer("maximum_gcs_dead_node_cached_count") == 2**32 - 1
    assert config.fraction("scheduler_spread_threshold") == 1.0
    assert config.flag("event_stats") is False
    assert config.names("enable_export_api_write_config") == ("EXPORT_ACTOR", "EXPORT_NODE")


def test_our_defaults_are_the_defaults_of_ray():
    assert GcsConfig.from_ray(RayConfig.read()) == GcsConfig()


def test_knobs_come_in_our_units():
    config = GcsConfig.from_ray(
        RayConfig.read('{"health_check_period_ms": 250, "actor_graceful_shutdown_timeout_ms": -1}'),
    )
    assert config.health_check_period_s == 0.25
    assert config.actor_graceful_shutdown_timeout_s is None

"""Ray's own configuration: every key of Ray 2.60, its type, its default, and the value in force.

A key's value is decided once, at start: the JSON object of ``--config_list`` wins over the environment variable
``RAY_<key>``, which wins over the default. The JSON text itself is kept to the letter, since every raylet and driver of
the cluster fetches it and decides in the same way against its own environment.

Strictness is Ray's: a key that Ray does not know is refused, a flag is never a number, a number may be a fraction
(which is cut), and a negative number for an unsigned key wraps round (Ray's users write -1 for "no limit").
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NoReturn, TypeAlias

from trio_gcs.errors import StartError

Value: TypeAlias = bool | int | float | str | tuple[str, ...]

_KEYS_FILE = Path(__file__).with_name("ray_config_2_60.tsv")
_BITS = {"int32": 32, "int64": 64, "uint32": 32, "uint64": 64}
_TRUE = frozenset({"true", "1"})
_FALSE = frozenset({"false", "0", ""})


class ConfigError(StartError):
    """A configuration that nobody should start with."""


class RayConfig:
    """The value in force of every key of Ray's configuration. Does not change once it is made."""

    __slots__ = ("_values", "json_text")

    def __init__(self, values: Mapping[str, Value], json_text: str) -> None:
        self._values = MappingProxyType(dict(values))
        self.json_text = json_text

    @classmethod
    def read(cls, json_text: str = "", environ: Mapping[str, str] | None = None) -> "RayConfig":
        """Decide every key from the JSON text, then the environment given, then the defaults."""
        types, values = _keys_of_ray()
        for key in _keys_in(environ or {}, types):
            values[key] = _from_text(key, types[key], (environ or {})[f"RAY_{key}"])
        for key, value in _json_object(json_text).items():
            if key not in types:
                raise ConfigError(f"config_list: Ray 2.60 has no configuration key {key!r}")
            values[key] = _from_json(key, types[key], value)
        return cls(values, json_text)

    def __contains__(self, key: object) -> bool:
        return key in self._values

    def __getitem__(self, key: str) -> Value:
        return self._values[key]

    def flag(self, key: str) -> bool:
        """The value of a boolean key."""
        value = self._values[key]
        assert isinstance(value, bool), f"{key} is no flag"
        return value

    def integer(self, key: str) -> int:
        """The value of a key that counts something."""
        value = self._values[key]
        assert type(value) is int, f"{key} is no integer"
        return value

    def fraction(self, key: str) -> float:
        """The value of a key with a fraction."""
        value = self._values[key]
        assert isinstance(value, float), f"{key} has no fraction"
        return value

    def text(self, key: str) -> str:
        """The value of a text key."""
        value = self._values[key]
        assert isinstance(value, str), f"{key} is no text"
        return value

    def names(self, key: str) -> tuple[str, ...]:
        """The value of a key that lists names."""
        value = self._values[key]
        assert isinstance(value, tuple), f"{key} is no list"
        return value


def _keys_of_ray() -> tuple[dict[str, str], dict[str, Value]]:
    types: dict[str, str] = {}
    values: dict[str, Value] = {}
    for line in _KEYS_FILE.read_text(encoding="utf-8").splitlines():
        key, kind, default = line.split("\t")
        types[key] = kind
        values[key] = _from_text(key, kind, default)
    return types, values


def _keys_in(environ: Mapping[str, str], types: Mapping[str, str]) -> list[str]:
    return [name[4:] for name in environ if name.startswith("RAY_") and name[4:] in types]


def _json_object(json_text: str) -> dict[str, object]:
    if not json_text:
        return {}
    try:
        value = json.loads(json_text, parse_constant=_refuse_constant)
    except ValueError as error:
        raise ConfigError(f"config_list is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ConfigError(f"config_list is not a JSON object but {type(value).__name__}")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _from_text(key: str, kind: str, text: str) -> Value:
    """The value that an environment variable, or the file of defaults, spells."""
    if kind == "string":
        return text
    if kind == "list":
        return tuple(name.strip() for name in text.strip("[] ").split(",") if name.strip())
    if kind == "bool":
        if text.lower() not in _TRUE | _FALSE:
            raise ConfigError(f"RAY_{key}={text!r}: not true, false, 1 or 0")
        return text.lower() in _TRUE
    try:
        number = float(text) if kind == "float" else int(text)
    except ValueError as error:
        raise ConfigError(f"RAY_{key}={text!r}: not a number") from error
    return number if kind == "float" else _wrapped(key, kind, number)


def _from_json(key: str, kind: str, value: object) -> Value:
    """The value that a member of the JSON object holds."""
    if kind == "list" and isinstance(value, list) and all(isinstance(name, str) for name in value):
        return tuple(value)
    if kind == "string" and isinstance(value, str):
        return value
    if kind == "bool" and isinstance(value, bool):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        if kind == "float" and abs(value) <= sys.float_info.max:
            return float(value)
        if kind in _BITS:
            return _wrapped(key, kind, value)
    raise ConfigError(f"config_list: {key} is of type {kind}, not {json.dumps(value)}")


def _wrapped(key: str, kind: str, number: float) -> int:
    bits = _BITS[kind]
    if kind.startswith("uint"):
        if -(1 << bits) < number < 1 << bits:
            return int(number) % (1 << bits)
    elif -(1 << bits - 1) <= number < 1 << bits - 1:
        return int(number)
    raise ConfigError(f"{key}: {number} does not fit into {kind}")

"""The flags of Ray's C++ ``gcs_server``, in every spelling that Ray or a person uses.

``--session-dir=X``, ``-session_dir X`` and ``--session_dir X`` are one flag; a boolean stands alone, with a value, or with
``no`` before it. Reading never fails: what is wrong is kept in ``Flags.problem``, because the files for output have to
be open before anybody may complain.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

_TRUE = frozenset({"true", "t", "yes", "y", "1"})
_FALSE = frozenset({"false", "f", "no", "n", "0"})


@dataclass(frozen=True, kw_only=True)
class Flags:
    """Every flag of the C++ binary with its default there; ``problem`` says what was wrong with the line, if anything."""

    redis_address: str = ""
    redis_port: int = -1
    redis_username: str = ""
    redis_password: str = ""
    redis_enable_ssl: bool = False
    retry_redis: bool = False
    gcs_server_port: int = 0
    metrics_agent_port: int = -1
    node_ip_address: str = ""
    node_id: str = ""
    session_name: str = ""
    session_dir: str = ""
    log_dir: str = ""
    config_list: str = ""
    ray_commit: str = ""
    stdout_filepath: str = ""
    stderr_filepath: str = ""
    help: bool = False
    version: bool = False
    problem: str = ""


_KINDS: dict[str, object] = {flag.name: type(flag.default) for flag in fields(Flags) if flag.name != "problem"}


def read_flags(arguments: Sequence[str]) -> Flags:
    """Read a command line without its first word. The last of several equal flags counts, the first problem is told."""
    values: dict[str, str | int | bool] = {}
    problems: list[str] = []
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        name, value = _name_and_value(argument, rest)
        try:
            values[name] = _as_kind(name, value)
        except KeyError:
            problems.append(f"unknown command line flag {argument!r}")
        except ValueError:
            expected = "a whole number" if _KINDS[name] is int else "true or false"
            problems.append(f"flag --{name}: {expected} was expected, not {value!r}")
        except TypeError:
            problems.append(f"flag --{name} needs a value")
    return Flags(**values, problem=problems[0] if problems else "")  # type: ignore[arg-type]  # each has its field's type


def _name_and_value(argument: str, rest: list[str]) -> tuple[str, str | None]:
    """Take one flag apart, and its value from the words that follow where it has none of its own."""
    if not argument.startswith("-"):
        return "", None
    spelled, equals, value = argument.partition("=")
    name = _plain(spelled)
    if equals:
        return name, value
    if _KINDS.get(name) is bool:
        return name, "true"
    if _KINDS.get(name.removeprefix("no")) is bool:
        return name.removeprefix("no"), "false"
    # A flag that was left without its value must not swallow the next one, least of all that of an output file.
    next_is_flag = bool(rest) and rest[0].startswith("-") and _plain(rest[0].partition("=")[0]) in _KINDS
    return name, rest.pop(0) if rest and name in _KINDS and not next_is_flag else None


def _plain(spelled: str) -> str:
    return spelled.removeprefix("-").removeprefix("-").replace("-", "_")


def _as_kind(name: str, value: str | None) -> str | int | bool:
    kind = _KINDS[name]
    if value is None:
        raise TypeError(name)
    if kind is bool:
        if value.lower() not in _TRUE | _FALSE:
            raise ValueError(value)
        return value.lower() in _TRUE
    return int(value) if kind is int else value

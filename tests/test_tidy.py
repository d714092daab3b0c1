"""The rules of the house that a reader would otherwise have to remember, checked on the source text.

Every finding is one line, ``file:line: reason``. A rule that is in somebody's way is a question to ask, not a list of
exceptions to lengthen.
"""

import ast
import re
import statistics
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "trio_gcs"

FILE_LINES_MAX = 400
FILE_LINES_MEDIAN = 150
FUNCTION_LINES_MAX = 60

VOCABULARY = frozenset({"", "generated", "bounds", "errors", "ids", "octets", "machine", "config", "ray_config"})
# What each package may import of ours, besides itself and the vocabulary. What is not listed here sits on top.
BELOW = {
    **dict.fromkeys(VOCABULARY, frozenset[str]()),
    "wire": frozenset[str](),
    "store": frozenset({"events"}),
    "events": frozenset({"store"}),
    "scheduling": frozenset({"store", "events"}),
    "health": frozenset({"store", "events"}),
    "managers": frozenset({"store", "events", "scheduling", "health"}),
    "rpc": frozenset({"wire", "store", "events"}),
    "services": frozenset({"managers", "rpc", "store", "events", "scheduling", "health"}),
}
# What comes from outside is kept out of the layers that must not know it.
FOREIGN = {
    "wire": {"trio", "grpclib", "asyncio"},
    "managers": {"grpclib", "h2", "hpack", "grpc", "asyncio", "sqlite3"},
    "scheduling": {"grpclib", "h2", "hpack", "trio"},
}
SHARED_BY_MANAGERS = frozenset({"reactions"})

BANNED_WORDS = frozenset({"helper", "helpers", "util", "utils"})
BANNED_NAMES = frozenset({"data", "info", "tmp", "foo"})
BANNED_PREFIXES = ("do_", "process_", "handle_")
BANNED_SUFFIXES = ("_data", "_info")
HTTP2 = frozenset({"wire", "rpc"})  # where DATA is the name of a frame, and a call is handled


class Source(NamedTuple):
    path: Path
    text: str
    tree: ast.Module

    @property
    def name(self) -> str:
        return str(self.path.relative_to(ROOT))

    @property
    def package(self) -> str:
        """The first part below trio_gcs: a package, or a module of the top level; "" is trio_gcs itself."""
        first = self.path.relative_to(PACKAGE).parts[0]
        return first.removesuffix(".py").replace("__init__", "")

    def at(self, node: ast.AST | int, reason: str) -> str:
        line = node if isinstance(node, int) else getattr(node, "lineno", 1)
        return f"{self.name}:{line}: {reason}"


def _read(folder: Path) -> list[Source]:
    found = []
    for path in sorted(folder.rglob("*.py")):
        if "generated" in path.parts:
            continue
        text = path.read_text(encoding="utf-8")
        found.append(Source(path, text, ast.parse(text, str(path))))
    return found


OURS = _read(PACKAGE)
TESTS = _read(ROOT / "tests")
SCRIPTS = [*_read(ROOT / "scripts"), *_read(ROOT / "bench")]


def _report(findings: Iterator[str]) -> None:
    found = list(findings)
    if found:
        pytest.fail(f"{len(found)} findings\n" + "\n".join(found), pytrace=False)


def _imports(source: Source) -> Iterator[tuple[ast.AST, str]]:
    """Every dotted name that a file imports; ``from a import b`` counts as ``a.b``."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level:
            base = source.path.relative_to(ROOT).with_suffix("").parts[: -node.level]
            yield from ((node, ".".join([*base, *filter(None, [node.module]), alias.name])) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node, f"{node.module}.{alias.name}") for alias in node.names)


def _functions(source: Source) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(source.tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def _called(node: ast.AST) -> str:
    """The dotted name of what a call calls, or what a name or attribute spells."""
    node = node.func if isinstance(node, ast.Call) else node
    return ast.unparse(node) if isinstance(node, ast.Name | ast.Attribute) else ""


def test_imports_point_down() -> None:
    def findings() -> Iterator[str]:
        for source in OURS:
            allowed = BELOW.get(source.package)
            for node, name in _imports(source):
                first, *rest = name.split(".")
                if first in FOREIGN.get(source.package, ()):
                    yield source.at(node, f"{source.package}/ must not know {first}")
                if first != "trio_gcs" or allowed is None or not rest:
                    continue
                target = rest[0] if rest[0] in BELOW or (PACKAGE / rest[0]).with_suffix(".py").exists() else ""
                target = rest[0] if (PACKAGE / rest[0]).is_dir() else target
                if target != source.package and target not in VOCABULARY | allowed:
                    yield source.at(
                        node, f"{source.package or 'trio_gcs'} must not import {target}: imports point down"
                    )

    _report(findings())


def _manager_of(source: Source) -> str:
    """The manager that a file of managers/ belongs to: a module there, or a package with several."""
    return source.path.relative_to(PACKAGE).with_suffix("").parts[1]


def test_managers_do_not_import_each_other() -> None:
    inside = [source for source in OURS if source.package == "managers"]
    # What keeps no rows is no manager but a part of one, and may serve several.
    owners = {
        _manager_of(source)
        for source in inside
        if any(name.startswith("trio_gcs.store") for _, name in _imports(source))
    }

    def findings() -> Iterator[str]:
        for source in inside:
            mine = _manager_of(source)
            for node, name in _imports(source):
                other = name.removeprefix("trio_gcs.managers.").split(".")[0]
                if (
                    mine not in SHARED_BY_MANAGERS
                    and other != mine
                    and name.startswith("trio_gcs.managers.")
                    and other in owners
                ):
                    yield source.at(node, f"a manager must not import another one ({other}): say it in reactions.py")

    _report(findings())


def test_no_file_is_too_long_and_half_of_them_are_short() -> None:
    def findings() -> Iterator[str]:
        for source in [*OURS, *TESTS, *SCRIPTS]:
            lines = source.text.count("\n")
            if lines > FILE_LINES_MAX:
                yield source.at(lines, f"{lines} lines, over {FILE_LINES_MAX}: a design question")
        lengths = [source.text.count("\n") for source in OURS if source.path.name != "__init__.py"]
        if statistics.median(lengths) > FILE_LINES_MEDIAN:
            yield f"trio_gcs:1: the median file has {statistics.median(lengths)} lines, over {FILE_LINES_MEDIAN}"

    _report(findings())


def test_no_function_is_too_long() -> None:
    def findings() -> Iterator[str]:
        for source in [*OURS, *SCRIPTS]:
            for function in _functions(source):
                lines = (function.end_lineno or 0) - function.lineno + 1
                if lines > FUNCTION_LINES_MAX:
                    yield source.at(function, f"{function.name} has {lines} lines, over {FUNCTION_LINES_MAX}")

    _report(findings())


def _defined_names(source: Source) -> Iterator[tuple[ast.AST, str]]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node, node.name
        elif isinstance(node, ast.arg):
            yield node, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node, node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node, node.attr


def _wrong_with(name: str, package: str) -> str:
    """Why a name that we gave is banned, or nothing. Words of the wire are not ours to choose."""
    if package in HTTP2 or (package == "services" and name[:1].isupper()):
        return ""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().strip("_")
    words = set(snake.split("_"))
    if words & BANNED_WORDS or snake in BANNED_NAMES:
        return "says nothing"
    if snake.startswith(BANNED_PREFIXES) or snake.endswith(BANNED_SUFFIXES):
        return "hides what it is behind a word that fits everything"
    return "a manager of managers" if snake.count("manager") > 1 else ""


def test_names_say_what_they_mean() -> None:
    def findings() -> Iterator[str]:
        for source in [*OURS, *SCRIPTS]:
            package = source.package if source.path.is_relative_to(PACKAGE) else "scripts"
            for node, name in [(source.tree, source.path.stem), *_defined_names(source)]:
                if reason := _wrong_with(name, package):
                    yield source.at(node, f"the name {name!r} {reason}")

    _report(findings())


def test_every_file_opens_with_what_it_owns() -> None:
    _report(source.at(1, "no module docstring") for source in [*OURS, *SCRIPTS] if not ast.get_docstring(source.tree))


def test_only_config_reads_the_wall_clock() -> None:
    clocks = {"time.time", "time.time_ns", "datetime.now", "datetime.datetime.now", "datetime.utcnow", "time.sleep"}

    def findings() -> Iterator[str]:
        for source in OURS:
            if source.package in {"config", "demo"}:  # the demo is a program of a user, as Ray runs it
                continue
            yield from (
                source.at(node, f"{_called(node)}: time is an argument, see config.wall_clock_ms")
                for node in ast.walk(source.tree)
                if isinstance(node, ast.Attribute) and _called(node) in clocks
            )
            yield from (source.at(n, "the wall clock is config's") for n, name in _imports(source) if name in clocks)

    _report(findings())


def _polls(loop: ast.While) -> bool:
    """Whether a loop does nothing but sleep until something it looks at has come true."""

    def sleeps(statement: ast.stmt) -> bool:
        return isinstance(statement, ast.Expr) and "sleep(" in ast.unparse(statement)

    def leaves(statement: ast.stmt) -> bool:
        inside = [type(node) for node in ast.walk(statement)]
        asks_elsewhere = ast.Await in inside  # a peer cannot wake us, what is in this process can
        return isinstance(statement, ast.If) and not asks_elsewhere and (ast.Break in inside or ast.Return in inside)

    return any(map(sleeps, loop.body)) and all(sleeps(statement) or leaves(statement) for statement in loop.body)


def test_nobody_polls_without_a_deadline() -> None:
    deadlines = ("fail_after", "move_on_after", "fail_at", "move_on_at")

    def findings() -> Iterator[str]:
        for source in OURS:
            bounded = {
                id(inner)
                for node in ast.walk(source.tree)
                if isinstance(node, ast.With)
                and any(_called(item.context_expr).endswith(deadlines) for item in node.items)
                for inner in ast.walk(node)
            }
            for node in ast.walk(source.tree):
                if isinstance(node, ast.While) and id(node) not in bounded and _polls(node):
                    yield source.at(node, "sleeps in a loop until something is true, without a deadline")

    _report(findings())


BROAD = frozenset({"Exception", "BaseException", ""})


def _catches_all(node: ast.AST) -> bool:
    """Whether a handler swallows whatever comes; one that puts something back and raises on is none."""
    if not isinstance(node, ast.ExceptHandler):
        return False
    kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
    last = node.body[-1]
    raises_on = isinstance(last, ast.Raise) and last.exc is None
    return not raises_on and any((ast.unparse(kind) if kind else "") in BROAD for kind in kinds)


def test_errors_are_caught_by_name() -> None:
    gate = "trio_gcs/rpc/dispatch.py"

    def findings() -> Iterator[str]:
        for source in OURS:
            for node in ast.walk(source.tree):
                if source.name != gate and _catches_all(node):
                    yield source.at(node, "catches whatever comes; only rpc/dispatch.py may")
                if isinstance(node, ast.TryStar) and source.name not in {gate, "trio_gcs/nursery_tree.py"}:
                    yield source.at(node, "except* stands in rpc/dispatch.py and nursery_tree.py only")
                if isinstance(node, ast.Call) and _called(node).endswith("suppress"):
                    yield from (source.at(node, "suppresses every error") for a in node.args if _called(a) in BROAD)

    _report(findings())


def test_each_assertion_says_one_thing() -> None:
    _report(
        source.at(node, "split the assertion: one belief each")
        for source in OURS
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Assert) and isinstance(node.test, ast.BoolOp) and isinstance(node.test.op, ast.And)
    )


def test_nothing_is_mocked_and_nothing_is_left_to_do() -> None:
    def findings() -> Iterator[str]:
        for source in [*OURS, *TESTS, *SCRIPTS]:
            yield from (
                source.at(n, "no mocks: write a fake") for n, name in _imports(source) if "mock" in name.split(".")
            )
            for number, line in enumerate(source.text.splitlines(), 1):
                if re.search(r"\b(TOD[O]|FIXM[E]|XX[X])\b", line):
                    yield source.at(number, "work left behind")

    _report(findings())


def test_every_knob_turns_something() -> None:
    text = "\n".join(path.read_text() for path in PACKAGE.rglob("*.py") if path.name != "config.py")
    knobs = re.findall(r"^    ([a-z]\w*): .* = ", (PACKAGE / "config.py").read_text(), re.MULTILINE)
    assert len(knobs) > 50
    assert [knob for knob in knobs if not re.search(rf"\b{knob}\b", text)] == []


def test_the_project_stands_alone() -> None:
    # Each begins with a class of one character, so that this file does not find itself.
    outside = re.compile(r"[/]work/|[.]library|[.][.]/shared|[/]root/|[/]home/(?!ray)|[s]cratch/")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")

    def findings() -> Iterator[str]:
        for name in listed.stdout.split("\0"):
            path = ROOT / name
            if not name or "generated" in path.parts or not path.is_file():
                continue
            for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
                if outside.search(line):
                    yield f"{name}:{number}: mentions a folder outside the repository"

    _report(findings())

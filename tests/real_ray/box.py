"""A box: a process tree in namespaces of its own, for programs that kill by name and use fixed ports.

In it there is only the loopback network, a private /tmp, /dev/shm and home, and its own process ids; when the box's
first process ends, the kernel ends all the others. It needs the right to make namespaces (root, mostly).
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence

INSIDE = """
set -e
mount -t tmpfs -o size=4g tmpfs /tmp
mount -t tmpfs -o size=8g tmpfs /dev/shm
ip link set lo up 2>/dev/null || "$BOX_PYTHON" -c '
import fcntl, socket, struct
SIOCSIFFLAGS, IFF_UP, IFF_RUNNING = 0x8914, 0x1, 0x40
fcntl.ioctl(socket.socket(), SIOCSIFFLAGS, struct.pack("16sh", b"lo", IFF_UP | IFF_RUNNING))'
mkdir /tmp/home
export HOME=/tmp/home
cd /tmp
set +e
"$@"
exit $?  # another command after the program keeps bash as process 1: it buries orphans, a program put in its place does not
"""
NAMESPACES = ["unshare", "--pid", "--fork", "--mount", "--net", "--mount-proc", "--kill-child"]
_SAID = re.compile(r"(?:[^|]*\(raylet[^|]*)?(\| .*)")


def reason_against() -> str | None:
    """Why no box can be made here; None if one can."""
    try:
        tried = subprocess.run([*NAMESPACES, "true"], capture_output=True, text=True, check=False, timeout=20)
    except FileNotFoundError:
        return "there is no unshare(1)"
    return None if tried.returncode == 0 else f"no namespaces here: {tried.stderr.strip()}"


def run(command: Sequence[str], *, python: str, environ: Mapping[str, str], timeout_s: float) -> tuple[int, str, str]:
    """Run ``command`` in a box; returns its exit code and what it printed. Past the time all of it is killed."""
    box = subprocess.Popen(
        [*NAMESPACES, "bash", "-c", INSIDE, "box", *command],
        env={**os.environ, **environ, "BOX_PYTHON": python},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        out, err = box.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        box.kill()
        out, err = box.communicate()
        return 124, out, err + f"\nkilled after {timeout_s} s"
    return box.returncode, out, err


def said_in(out: str) -> list[str]:
    """The lines of a program's output that begin with "| ".

    What Ray tells a driver of its workers is printed by a thread that ends its lines late: ours may follow on the same one.
    """
    return [match[1] for line in out.splitlines() if (match := _SAID.match(line))]

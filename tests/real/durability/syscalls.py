"""Make a system call fail, or kill, from now on: a seccomp filter on this process, which needs no right and no library.

A filter cannot be taken off again, so only a process that is to die anyway puts one on itself.
"""

import ctypes
import errno
import platform
import struct

NUMBERS = {
    "x86_64": {"pwrite64": 18, "fsync": 74, "fdatasync": 75, "ftruncate": 77},
    "aarch64": {"pwrite64": 68, "fsync": 82, "fdatasync": 83, "ftruncate": 46},
}.get(platform.machine())
SECCOMP = {"x86_64": 317, "aarch64": 277}.get(platform.machine(), -1)

KILL = 0x80000000  # the whole process, at once, as SIGKILL does
_ERRNO = 0x00050000
_ALLOW = 0x7FFF0000
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_SET_MODE_FILTER, _ON_ALL_THREADS = 1, 1
_PR_SET_NO_NEW_PRIVS = 38
_NUMBER_AT, _FIRST_ARGUMENT_AT = 0, 16  # in struct seccomp_data; the low half, on a little-endian machine


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def fail_with(number: int) -> int:
    """What a call does that fails with this errno."""
    return _ERRNO | number


def disturb(action: int, *calls: str, descriptor: int | None = None) -> None:
    """Let these calls of any thread of this process do ``action``; those on ``descriptor`` only, if one is given."""
    assert NUMBERS is not None, "reason_against() was not asked"
    numbers = [NUMBERS[call] for call in calls]
    code = [(_LOAD, 0, 0, _NUMBER_AT)]
    rest = len(numbers) + 1 + (2 if descriptor is not None else 0)
    code += [(_JUMP_IF_EQUAL, len(numbers) - at, 0, number) for at, number in enumerate(numbers)]
    code += [(_RETURN, 0, 0, _ALLOW)]
    if descriptor is not None:
        code += [(_LOAD, 0, 0, _FIRST_ARGUMENT_AT), (_JUMP_IF_EQUAL, 0, 1, descriptor)]
    code += [(_RETURN, 0, 0, action), (_RETURN, 0, 0, _ALLOW)]
    assert len(code) == rest + 3, "every jump ends at the action"
    packed = b"".join(struct.pack("HBBI", *each) for each in code)
    program = _Program(len(code), packed)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if libc.syscall(SECCOMP, _SET_MODE_FILTER, _ON_ALL_THREADS, ctypes.byref(program)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"seccomp: {errno.errorcode.get(number, number)}")


def reason_against() -> str | None:
    """Why this cannot be done here; None if it can."""
    return None if NUMBERS is not None else f"no numbers of system calls for {platform.machine()}"

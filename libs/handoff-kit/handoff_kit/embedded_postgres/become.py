"""Turn root into a user that PostgreSQL accepts, then exec a program.

PostgreSQL refuses to run as root. This file is run as a script by `embedded_postgres`, in a fresh
interpreter (`python -I become.py MODE UID GID PATH[:PATH] -- program argument...`), since nothing
of it is safe between fork and exec in a process with threads. The process id stays the same.

Each path must be readable afterwards, else the exit code is `UNREACHABLE`; the program is not run.
"""

import ctypes
import os
import resource
import sys
from pathlib import Path

UNREACHABLE = 77

SELF = "self"
"""Stay who we are: not root to begin with."""
PLAIN = "plain"
"""The unprivileged user, nothing more. Needs every parent folder to be open to others."""
REACH = "reach"
"""The unprivileged user with one ambient capability, so that closed parent folders (a home below
/root) can be passed through: CAP_DAC_READ_SEARCH, or CAP_DAC_OVERRIDE where a container grants
only that."""
NAMESPACE = "namespace"
"""A user namespace in which we are called UID and still own what root owns: for sandboxes that
map root alone, where no other user exists to change to."""

_CAP_DAC_OVERRIDE = 1
_CAP_DAC_READ_SEARCH = 2
_CAPABILITY_VERSION_3 = 0x20080522
_PR_CAPBSET_READ = 23
_PR_SET_KEEPCAPS = 8
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_CLONE_NEWUSER = 0x10000000


class _CapabilityHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapabilityData(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def become(mode: str, uid: int, gid: int) -> None:
    """Change this process; raises OSError where the machine does not permit the mode."""
    if mode == PLAIN:
        _change_user(uid, gid)
    elif mode == REACH:
        _change_user_keeping_reach(uid, gid)
    elif mode == NAMESPACE:
        _enter_namespace(uid, gid)
    elif mode != SELF:
        raise ValueError(mode)


def _change_user(uid: int, gid: int) -> None:
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def _change_user_keeping_reach(uid: int, gid: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    granted = [
        capability
        for capability in (_CAP_DAC_READ_SEARCH, _CAP_DAC_OVERRIDE)
        if libc.prctl(_PR_CAPBSET_READ, capability, 0, 0, 0) == 1
    ]
    if not granted:
        raise PermissionError("neither CAP_DAC_READ_SEARCH nor CAP_DAC_OVERRIDE is granted")
    _check(libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0))
    _change_user(uid, gid)
    bit = 1 << granted[0]
    header = _CapabilityHeader(_CAPABILITY_VERSION_3, 0)
    data = (_CapabilityData * 2)(_CapabilityData(bit, bit, bit), _CapabilityData(0, 0, 0))
    _check(libc.capset(ctypes.byref(header), data))
    _check(libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, granted[0], 0, 0))


def _enter_namespace(uid: int, gid: int) -> None:
    outer_uid, outer_gid = os.getuid(), os.getgid()
    _check(ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWUSER))
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {outer_uid} 1")
    Path("/proc/self/gid_map").write_text(f"{gid} {outer_gid} 1")


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _reachable(path: str) -> bool:
    try:
        os.close(os.open(path, os.O_RDONLY))
    except OSError:
        return False
    return True


def main(arguments: list[str]) -> int:
    (mode, uid, gid, paths), program = arguments[:4], arguments[5:]
    try:
        become(mode, int(uid), int(gid))
    except OSError as error:
        print(f"{mode}: {error}", file=sys.stderr)  # noqa: T201
        return UNREACHABLE
    if not all(_reachable(path) for path in paths.split(os.pathsep)):
        print(f"{mode}: a parent folder is closed", file=sys.stderr)  # noqa: T201
        return UNREACHABLE
    # A core file would hold rows in clear, in the data folder.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        os.execv(program[0], program)  # noqa: S606
    except OSError as error:
        print(f"{mode}: {program[0]}: {error}", file=sys.stderr)  # noqa: T201
        return UNREACHABLE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

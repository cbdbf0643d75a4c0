"""The inside of the sandbox (evals/sandbox/__init__.py): a program of its own, the standard library only, Linux only.

    python -I sandbox_child.py SCRATCH LIMITS.json REPORT_FD < word of this run, newline, program

Three processes: this one makes the namespaces (user, mount, network, pid, ipc, uts) and waits; `_guard`, process 1 of
the new pid namespace, sets the file systems and the wall clock; `_work` gives up its rights and runs the program.
When the outer one dies, the kernel kills the guard, and with it all that is left in its namespace.
"""

import ctypes
import json
import os
import platform
import resource
import signal
import struct
import sys
import time
from typing import Any, NoReturn

CLONE = {"NEWUSER": 0x10000000, "NEWNS": 0x00020000, "NEWNET": 0x40000000, "NEWPID": 0x20000000,
         "NEWIPC": 0x08000000, "NEWUTS": 0x04000000}  # fmt: skip
MS_NOSUID, MS_NODEV, MS_RDONLY, MS_REC, MS_PRIVATE = 2, 4, 1, 16384, 1 << 18
MOUNT_SETATTR, AT_FDCWD, AT_RECURSIVE, ATTR_RDONLY = 442, -100, 0x8000, 1
PDEATHSIG, NO_NEW_PRIVS, SECCOMP = 1, 38, 22
CLONE_THREAD = 0x10000

# Refused system calls by machine: sockets, new programs, namespaces and mounts, memory of others, the kernel.
# `clone` is allowed for threads only; fork and vfork do not exist on aarch64.
CALLS: dict[str, tuple[int, int, tuple[int, ...]]] = {      # audit architecture, clone, refused
    "x86_64": (0xC000003E, 56, (
        41, 57, 58, 59, 322, 101, 165, 166, 155, 161, 272, 308, 321, 250, 248, 249, 298, 323, 425, 310, 311, 304, 175,
        313, 246, 442, 429, 430, 428)),
    "aarch64": (0xC00000B7, 220, (
        198, 221, 281, 117, 40, 39, 41, 51, 97, 268, 280, 219, 217, 218, 241, 282, 425, 270, 271, 265, 105, 273, 104,
        442, 429, 430, 428)),
}  # fmt: skip
CLONE3 = 435  # its flags are in memory, where a filter cannot look: ENOSYS sends libc back to clone
libc = ctypes.CDLL(None, use_errno=True)


def call(name: str, *arguments: Any) -> int:
    """A libc function; OSError where it fails."""
    found: int = getattr(libc, name)(*arguments)
    if found < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return found


def namespaces() -> None:
    user, group = os.getuid(), os.getgid()
    call("unshare", sum(CLONE.values()))
    for file, text in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
        with open(f"/proc/self/{file}", "w", encoding="ascii") as stream:
            stream.write(text)


def file_systems(scratch: str, scratch_bytes: int) -> None:
    """Everything read-only but an empty memory file system at `scratch`; no /proc, where others' environments lie."""
    call("mount", b"none", b"/", None, MS_REC | MS_PRIVATE, None)
    call("mount", b"none", b"/proc", b"tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV, b"size=4k")
    attributes = struct.pack("QQQQ", ATTR_RDONLY, 0, 0, 0)
    call("syscall", MOUNT_SETATTR, AT_FDCWD, b"/", AT_RECURSIVE, attributes, len(attributes))
    options = f"size={scratch_bytes},nr_inodes=1000,mode=700".encode()
    call("mount", b"none", scratch.encode(), b"tmpfs", MS_NOSUID | MS_NODEV, options)
    os.chdir(scratch)


def seccomp() -> None:
    """Refuse CALLS with EPERM, processes with EPERM, for good."""
    arch, clone, refused = CALLS[platform.machine()]
    allow, eperm, enosys, kill = 0x7FFF0000, 0x00050001, 0x00050026, 0x80000000
    load, equal, at_least, has, give = 0x20, 0x15, 0x35, 0x45, 0x06
    body: list[tuple[int, int, int, int]] = [(load, 0, 0, 4), (equal, 1, 0, arch), (give, 0, 0, kill), (load, 0, 0, 0)]
    body += [(at_least, 0, 1, 0x40000000), (give, 0, 0, eperm)]  # the x32 calls
    for number in refused:
        body += [(equal, 0, 1, number), (give, 0, 0, eperm)]
    body += [(equal, 0, 1, CLONE3), (give, 0, 0, enosys)]
    body += [(equal, 0, 3, clone), (load, 0, 0, 16), (has, 1, 0, CLONE_THREAD), (give, 0, 0, eperm)]
    body += [(give, 0, 0, allow)]
    filters = b"".join(struct.pack("HBBI", *one) for one in body)
    held = ctypes.create_string_buffer(filters, len(filters))
    program = struct.pack("HxxxxxxP", len(body), ctypes.addressof(held))
    call("prctl", NO_NEW_PRIVS, 1, 0, 0, 0)
    call("prctl", SECCOMP, 2, program, 0, 0)


def without_rights() -> None:
    """Give up every capability of the user namespace."""
    header, nothing = struct.pack("Ii", 0x20080522, 0), bytes(24)
    call("capset", header, nothing)


def limit(limits: dict[str, int]) -> None:
    for name, value in (
        (resource.RLIMIT_AS, limits["memory_bytes"]), (resource.RLIMIT_FSIZE, limits["file_bytes"]),
        (resource.RLIMIT_CPU, limits["cpu_s"]), (resource.RLIMIT_NPROC, limits["threads"]),
        (resource.RLIMIT_NOFILE, 64), (resource.RLIMIT_CORE, 0),
    ):  # fmt: skip
        resource.setrlimit(name, (value, value))


def report(stream: int, **said: Any) -> None:
    os.write(stream, json.dumps(said).encode()[:60_000])


def _work(word: str, program: str, limits: dict[str, int], stream: int) -> NoReturn:
    """Run the program; say `passed` only when it came to its end by itself."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    limit(limits)
    without_rights()
    seccomp()
    names: dict[str, Any] = {"__name__": "__main__"}
    try:
        exec(compile(program, "program.py", "exec"), names)
        report(stream, reason="passed", word=word)
    except MemoryError:
        names.clear()  # room to say so
        report(stream, reason="memory")
    except SystemExit:
        report(stream, reason="exit", detail="the program left before its tests")
    except BaseException as error:
        said = f"{type(error).__name__}: {error}"
        report(stream, reason="failed", detail=said[:500])
    os._exit(0)


def _guard(word: str, program: str, scratch: str, limits: dict[str, int], stream: int) -> NoReturn:
    call("prctl", PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    try:
        file_systems(scratch, limits["scratch_bytes"])
        worker = os.fork()
    except OSError as error:
        report(stream, reason="refused", detail=str(error))
        os._exit(3)
    if worker == 0:
        _work(word, program, limits, stream)
    end = time.monotonic() + limits["wall_s"]
    while time.monotonic() < end:
        found, status = os.waitpid(worker, os.WNOHANG)
        if found:
            if os.WIFSIGNALED(status):
                by = os.WTERMSIG(status)
                report(
                    stream,
                    reason="timeout" if by in (signal.SIGXCPU, signal.SIGKILL) else "crashed",
                    detail=f"signal {by}",
                )
            os._exit(0)
        time.sleep(0.002)
    os.kill(worker, signal.SIGKILL)
    os.waitpid(worker, 0)
    report(stream, reason="timeout", detail=f"{limits['wall_s']} s")
    os._exit(0)


def main(scratch: str, limits: dict[str, int], stream: int) -> int:
    word, _, program = sys.stdin.read().partition("\n")
    try:
        namespaces()
        guard = os.fork()  # the first child is process 1 of the new pid namespace
    except OSError as error:
        report(stream, reason="refused", detail=str(error))
        return 3
    if guard == 0:
        _guard(word, program, scratch, limits, stream)
    _, status = os.waitpid(guard, 0)
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3])))

#!/usr/bin/env python3
"""Runs a command as the unit confines it, as far as that goes without systemd:  confine.py UNIT COMMAND...

User nobody, no capabilities to gain, the unit's SystemCallFilter=, no memory that is writable and executable. Needs
root, and libseccomp, which systemd brings.
"""

import ctypes
import errno
import os
import subprocess
import sys

ALLOW, MASKED = 0x7FFF0000, 7
DENY = 0x00050000 | errno.EPERM
PROT_WRITE, PROT_EXEC = 2, 4
NOBODY = 65534

library = ctypes.CDLL("libseccomp.so.2", use_errno=True)
library.seccomp_init.restype = ctypes.c_void_p


class Comparison(ctypes.Structure):
    _fields_ = [("argument", ctypes.c_uint), ("operation", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


def members(group):
    """The system calls of a group, as this systemd knows it."""
    listing = subprocess.run(
        ["systemd-analyze", "syscall-filter", group], capture_output=True, text=True, check=True
    ).stdout
    names = {line.strip() for line in listing.splitlines()[1:] if line.strip() and not line.strip().startswith("#")}
    groups = {name for name in names if name.startswith("@")}
    return names - groups | {call for inner in groups for call in members(inner)}


def allowed(unit):
    """What the unit's SystemCallFilter= lines come to; systemd always adds @default."""
    calls = set()
    for line in open(unit):
        if line.startswith("SystemCallFilter="):
            value = line.strip().removeprefix("SystemCallFilter=")
            named = {call for group in value.removeprefix("~").split() for call in members(group)}
            calls = calls - named if value.startswith("~") else calls | named
    return calls | members("@default")


def load(default, rules):
    context = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(default)))
    for action, call, comparisons in rules:
        number = library.seccomp_syscall_resolve_name(call.encode())
        array = (Comparison * len(comparisons))(*comparisons)
        # Calls that this architecture does not have are passed over.
        if number >= 0 and library.seccomp_rule_add_array(context, ctypes.c_uint32(action), number, len(array), array):
            raise SystemExit(f"no rule for {call}")
    if library.seccomp_load(context):
        raise SystemExit("the filter is not accepted")


def main():
    unit, command = sys.argv[1], sys.argv[2:]
    calls = allowed(unit)
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    both = PROT_WRITE | PROT_EXEC
    load(ALLOW, [
        (DENY, "mmap", [Comparison(2, MASKED, both, both)]),
        (DENY, "mprotect", [Comparison(2, MASKED, PROT_EXEC, PROT_EXEC)]),
        (DENY, "pkey_mprotect", [Comparison(2, MASKED, PROT_EXEC, PROT_EXEC)]),
    ])
    load(DENY, [(ALLOW, call, []) for call in sorted(calls)])
    os.execvp(command[0], command)


main()

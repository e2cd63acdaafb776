"""Prints the counters of examples/bpf/packet_counter.bpf.c.

usage: read.py MAP [SECONDS]    MAP is where it is pinned; with SECONDS, goes on, and prints them again after each pause
"""
import ctypes
import os
import struct
import sys
import time

# bpf(2): numbers of the system call, and of two of its commands.
SYS_BPF = {"x86_64": 321, "aarch64": 280, "s390x": 351, "ppc64le": 361}[os.uname().machine]
BPF_MAP_LOOKUP_ELEM, BPF_OBJ_GET = 1, 7
NAMES = ("packets", "bytes", "openat")

libc = ctypes.CDLL(None, use_errno=True)


def bpf(command: int, attributes: bytes) -> int:
    result = libc.syscall(SYS_BPF, command, attributes, len(attributes))
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


def lookup(counters: int, key: int) -> int:
    key_bytes, value = ctypes.c_uint32(key), ctypes.c_uint64()
    bpf(BPF_MAP_LOOKUP_ELEM, struct.pack("=IxxxxQQQ", counters, ctypes.addressof(key_bytes), ctypes.addressof(value), 0))
    return value.value


path = ctypes.create_string_buffer(os.fsencode(sys.argv[1]))
counters = bpf(BPF_OBJ_GET, struct.pack("=QII", ctypes.addressof(path), 0, 0))
while True:
    print(" ".join(f"{name}={lookup(counters, key)}" for key, name in enumerate(NAMES)), flush=True)
    if len(sys.argv) < 3:
        break
    time.sleep(float(sys.argv[2]))

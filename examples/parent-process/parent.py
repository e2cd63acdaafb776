#!/usr/bin/env python3
"""Drives bpfman from Python 3.9 or newer, using only the standard library.

Loads a program in a session that cleans up after itself, attaches it, prints the resulting events, then detaches and
unloads it. If this process is killed in between, bpfman cleans up.

usage: parent.py OBJECT [COMMAND...]    COMMAND starts the server: "bpfman rpc", or for example "sudo bpfman rpc"
"""

import collections
import json
import os
import subprocess
import sys


class RpcError(Exception):
    """The server answered with an error. code is the JSON-RPC number; data has code, kind, hint, details and more."""

    def __init__(self, error):
        super().__init__(error["message"])
        self.code = error["code"]
        self.data = error.get("data") or {}


class Bpfman:
    """One session with "bpfman rpc". Use it in a with statement."""

    def __init__(self, command, cleanup=False):
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._last_id = 0
        self._notifications = collections.deque()
        self.server = self.request(
            "initialize",
            protocolVersion=1,
            processId=os.getpid(),
            clientInfo={"name": "parent.py"},
            session={"cleanup": cleanup},
        )
        self._send({"method": "initialized", "params": {}})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.request("shutdown")
        self._send({"method": "exit", "params": {}})
        self._process.stdin.close()
        self._process.wait()

    def request(self, method, **params):
        """Sends a request and returns its result. Queues notifications that arrive first."""
        self._last_id += 1
        self._send({"id": self._last_id, "method": method, "params": params})
        while True:
            message = self._receive()
            if "method" in message:
                self._notifications.append(message)
            elif message.get("id") == self._last_id:
                if "error" in message:
                    raise RpcError(message["error"])
                return message["result"]

    def notification(self):
        """Returns the next notification as (method, params), waiting for it if necessary."""
        message = self._notifications.popleft() if self._notifications else self._receive()
        return message["method"], message["params"]

    def _send(self, message):
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self._process.stdin.flush()

    def _receive(self):
        length = None
        while True:
            line = self._process.stdout.readline()
            if not line:
                sys.exit(f"parent: the server has exited with code {self._process.wait()}")
            name, _, value = line.decode("ascii").partition(":")
            if line == b"\r\n":
                return json.loads(self._process.stdout.read(length))
            if name.lower() == "content-length":
                length = int(value)


def main(path, command):
    with Bpfman(command, cleanup=True) as bpfman:
        info, kernel = bpfman.server["serverInfo"], bpfman.server["kernel"]
        print(f"{info['name']} {info['version']} on Linux {kernel['release']}")
        bpfman.request("events/subscribe")

        loaded = bpfman.request(
            "program/load",
            source={"file": os.path.abspath(path)},
            programs=[{"type": "tracepoint", "name": "count_openat"}],
            application="parent",
        )
        program = loaded["programs"][0]["record"]["program_id"]
        link = bpfman.request(
            "link/attach",
            programId=program,
            attach={"kind": "tracepoint", "tracepoint": "syscalls/sys_enter_openat"},
        )["record"]["id"]
        for _ in range(2):
            method, change = bpfman.notification()
            print(f"event {change['sequence']}: {method} of program {change['program_id']}")

        print(f"program {program} runs through link {link}; press Enter to remove it", flush=True)
        sys.stdin.readline()

        bpfman.request("link/detach", linkId=link)
        bpfman.request("program/unload", programId=program)
        for _ in range(2):
            method, change = bpfman.notification()
            print(f"event {change['sequence']}: {method} of program {change['program_id']}")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    try:
        main(sys.argv[1], sys.argv[2:] or ["bpfman", "rpc"])
    except RpcError as error:
        sys.exit(f"parent: {error}\nhint: {error.data.get('hint')}")

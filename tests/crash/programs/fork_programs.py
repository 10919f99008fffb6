"""Import the library, then fork a process for each program that is asked for.

Usage: fork_programs.py <number of a socket>, on which requests come and answers go.
"""

from __future__ import annotations

import json
import os
import runpy
import socket
import sys
import traceback

import library.infrastructure.data  # noqa: F401 - the point is that the children need not import it


def run_program(path: str, arguments: list[str], stdin: int, stdout: int) -> None:
    """Run a program in this process, which a fork made for it."""
    os.dup2(stdin, 0)
    os.dup2(stdout, 1)
    os.close(stdin)
    os.close(stdout)
    sys.argv = [path, *arguments]
    status = 1
    try:
        runpy.run_path(path, run_name="__main__")
        status = 0
    except BaseException:  # noqa: BLE001 - the exit code tells
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(status)


requests = socket.socket(fileno=int(sys.argv[1]))
while True:
    message, descriptors, _, _ = socket.recv_fds(requests, 1 << 16, 2)
    if not message:
        break
    request = json.loads(message)
    if "wait" in request:
        _, wait_status = os.waitpid(request["wait"], 0)
        requests.sendall(b"%d" % os.waitstatus_to_exitcode(wait_status))
        continue
    pid = os.fork()
    if pid == 0:
        requests.close()
        run_program(request["start"], request["arguments"], *descriptors)
    for descriptor in descriptors:
        os.close(descriptor)
    requests.sendall(b"%d" % pid)

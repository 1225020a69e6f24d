"""A parent to be killed: starts children, prints their process ids, and waits. Arguments: start, entries."""

import os
import socket
import sys

from actorflow.process.launch.launcher import Launch, acquire


def main(start, fork, *entries):
    launcher = acquire(Launch(start=start))
    pids, kept = [], []
    for entry in entries:
        ours, theirs = socket.socketpair()
        handle = launcher.launch(f"tests.process.children:{entry}", "hello", [theirs.fileno()])
        theirs.close()
        said = ours.recv(100).decode().strip()
        pids.append(str(handle.pid))
        if entry == "parent_of_program":
            pids.append(said)
        kept.append(ours)
    pids.append(str(launcher._server._process.pid))
    if fork == "fork" and os.fork() == 0:  # it lives on, and holds nothing that keeps the others alive
        os.close(1)
        for sock in kept:
            sock.close()
        sys.stdin.read()
        os._exit(0)
    print(*pids, flush=True)
    sys.stdin.read()


main(*sys.argv[1:])

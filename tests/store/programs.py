"""Programs that the store tests start, kill and let race: each prints what it knows."""

import os
import sys
import threading

from actorflow.store.store import open_store
from tests.store.rows import adding


def say(*words):
    print(*words, flush=True)


def wait():
    """Wait for the end of standard input, which the test holds open."""
    sys.stdin.read()


def write(url, durability):
    """Write rows until killed; print each one once it is committed."""
    store = open_store(url, durability=durability)
    number = 0
    while True:
        number += 1
        store.write(adding(f"row-{number}"))
        say(f"row-{number}")


def live(url):
    """Be a node until killed."""
    say(open_store(url).node.id)
    wait()


def live_with_fork(url):
    """Be a node, and have a child that lives on."""
    store = open_store(url)
    id = store.node.id
    pid = os.fork()
    if pid == 0:
        os.close(1)
        wait()
        os._exit(0)
    say(id, pid)
    wait()


def race(url, gates, first=0):
    """Open new stores as soon as the test says so, one after the other; print how that went."""
    for number in range(int(first), int(first) + int(gates)):
        say("ready")
        sys.stdin.readline()
        try:
            store = open_store(url.format(number))
            store.write(adding(str(os.getpid())))
            assert store.node.id
            store.close()
            say("fine")
        except Exception as error:
            say(repr(error))


def crowd(url, threads, rows):
    """Write from threads, and be done."""
    store = open_store(url)

    def work(place):
        for number in range(int(rows)):
            store.write(adding(f"{os.getpid()}-{place}-{number}"))

    workers = [threading.Thread(target=work, args=(place,)) for place in range(int(threads))]
    for one in workers:
        one.start()
    for one in workers:
        one.join()
    store.close()
    say("done")


def once(url, id):
    """Write one row."""
    store = open_store(url)
    store.write(adding(id))
    store.close()
    say("done")


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])

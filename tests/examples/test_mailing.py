"""The example of a newsletter: each reader gets it once, a refused one is told of, and a kill loses nobody."""

from __future__ import annotations

import socketserver
import threading
import time
from collections import Counter

import pytest

from examples.mailing import main
from tests.examples.programs import PATIENCE, killed, output, program


class Server(socketserver.ThreadingTCPServer):
    """As much of a mail server as the example needs. It is busy when it first hears of "busy..."."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Session)
        self.got: list[str] = []
        self.busy = Counter()


class Session(socketserver.StreamRequestHandler):
    def handle(self):
        self.say("220 hello")
        to = ""
        for line in self.rfile:
            word = line.decode().strip()
            if word.upper() == "DATA":
                self.say("354 go on")
                while (part := self.rfile.readline()).strip() != b".":
                    if not part:
                        return  # the client was killed
                self.server.got.append(to)
            if word.upper() == "QUIT":
                self.say("221 bye")
                return
            if word.upper().startswith("RCPT TO:"):
                to = word[len("RCPT TO:") :].strip("<>")
                self.server.busy[to] += 1
                if to.startswith("nobody"):
                    self.say("550 unknown here")
                    continue
                if to.startswith("busy") and self.server.busy[to] == 1:
                    self.say("451 later")
                    continue
            self.say("250 fine")

    def say(self, text):
        self.wfile.write(f"{text}\r\n".encode())


@pytest.fixture
def server(monkeypatch, tmp_path):
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        monkeypatch.setenv("SMTP", f"127.0.0.1:{server.server_address[1]}")
        monkeypatch.setenv("ACTORFLOW_STORE", f"sqlite:///{tmp_path / 'mailing.db'}")
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def readers(tmp_path):
    def write(*names: str):
        file = tmp_path / "readers"
        file.write_text("".join(f"{name}@example.org\n" for name in names))
        return str(file)

    return write


def test_each_reader_gets_one_mail_also_of_a_server_that_was_busy(server, readers, capsys):
    assert main([readers("ann", "busy-bob", "ann", "cid")]) == 0
    assert sorted(server.got) == ["ann@example.org", "busy-bob@example.org", "cid@example.org"]
    assert capsys.readouterr().out == "3 of 3 readers got it\n"
    assert main([readers("ann", "busy-bob", "cid")]) == 0  # all have it
    assert len(server.got) == 3


def test_an_address_that_the_server_refuses_is_asked_once_and_told_of(server, readers, capsys):
    assert main([readers("ann", "nobody")]) == 1
    assert server.got == ["ann@example.org"]
    assert server.busy["nobody@example.org"] == 1
    printed = capsys.readouterr()
    assert printed.out == "1 of 2 readers got it\n"
    assert "nobody@example.org is refused: unknown here" in printed.err


@pytest.mark.slow
def test_it_is_killed_and_those_who_are_left_get_theirs(server, tmp_path, readers):
    names = [f"reader-{number}" for number in range(30)]
    file = readers(*names)
    with killed(program(tmp_path, "examples.mailing", file, "--rate", "20/s")):
        deadline = time.monotonic() + PATIENCE
        while len(server.got) < 5:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert output(program(tmp_path, "examples.mailing", file, "--rate", "100/s"))[-1] == "30 of 30 readers got it"
    got = Counter(address.partition("@")[0] for address in server.got)
    assert sorted(got) == sorted(names)
    assert sum(got.values()) <= 30 + 8  # of each worker, the mail on its way at the kill and the one before

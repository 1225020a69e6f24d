"""A newsletter to many readers, through a queue: `python -m examples.mailing READERS`, a file with an address a line.

Each mail is a job. A server that is busy is asked again later, an address that it refuses is not, and at most `--rate`
mails leave. Kill the program with -9 in its midst, and start it again: the readers who are left get theirs. At the end
it lists those who got none. SMTP=host:port names a server; without one, the mails are printed. The file mailing.db, in
the current folder or where ACTORFLOW_STORE says, has the state.
"""

from __future__ import annotations

import argparse
import os
import smtplib
import sys
import time
from email.message import EmailMessage
from pathlib import Path

import actorflow as af

SENDER = "news@example.org"


@af.task(retry=af.Retry(6, af.Backoff(0.5, limit=60), on=OSError), timeout=60)
def send(to: str, subject: str) -> None:
    """Send one mail. A refusal by the server is final if it says so, with a code from 500."""
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = SENDER, to, subject
    mail["Message-ID"] = f"<{af.current().key}@example.org>"  # the same at each try: servers drop the second one
    mail.set_content(f"Dear reader,\n\n{subject}.\n")
    try:
        deliver(mail)
    except smtplib.SMTPRecipientsRefused as refused:
        code, why = refused.recipients[to]
        kind = af.Permanent if code >= 500 else OSError
        raise kind(f"{to} is refused: {why.decode()}") from refused


def deliver(mail: EmailMessage) -> None:
    """Give a mail to the server, or print it."""
    host, _, port = os.environ.get("SMTP", "").partition(":")
    if host:
        with smtplib.SMTP(host, int(port or 25), timeout=30) as server:
            server.send_message(mail)
    else:
        print(f"to {mail['To']}: {mail['Subject']}\n", end="", flush=True)  # in one piece: four threads print


def main(arguments: list[str]) -> int:
    """Send the newsletter to all who have not got it yet; return 1 if somebody gets none."""
    parser = argparse.ArgumentParser(prog="python -m examples.mailing", description=__doc__.partition("\n")[0])
    parser.add_argument("readers", type=Path, help="a file with an address a line")
    parser.add_argument("--subject", default="the news of this week", help="of the mail, and its queue's name")
    parser.add_argument("--rate", default="50/s", help="how many mails leave at most (50/s)")
    options = parser.parse_args(arguments)
    readers = dict.fromkeys(options.readers.read_text().split())
    with af.ActorSystem("mailing", store=os.environ.get("ACTORFLOW_STORE", "sqlite:///mailing.db")) as system:
        mails = system.queue(options.subject, workers=4, rate=options.rate)
        if not mails.count():  # the first start: all mails are queued in one transaction
            mails.enqueue_many(send, [(reader, options.subject) for reader in readers])
        while (stats := mails.stats()).queued or stats.due or stats.running:
            time.sleep(0.1)
        for failed in mails.jobs("failed", limit=len(readers)):
            print(failed.error, file=sys.stderr)
    print(f"{stats.completed:,} of {len(readers):,} readers got it")
    return 1 if stats.completed < len(readers) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

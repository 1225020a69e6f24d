"""What an app of the tests talks to outside of it: all of it is to be replaced."""


def pay(amount):
    raise RuntimeError("it would take real money")


async def fetch(url):
    raise RuntimeError("it would read a real page")


class Mailer:
    def __init__(self, sender):
        self.sender = sender

    def mail(self, to):
        raise RuntimeError("it would send a real mail")

"""A preload that fails with an error whose text cannot be made."""


class Wordless(SystemExit):
    def __str__(self):
        raise LookupError("no words")


raise Wordless

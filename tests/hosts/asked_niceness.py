"""A module to preload: it notes the increments of the niceness that its process is given."""

import os

ASKED = []
NICE = os.nice


def noted(increment):
    ASKED.append(increment)
    return NICE(increment)


os.nice = noted

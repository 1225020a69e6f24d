"""Choices: all that is left to chance in a simulated run, by name.

`tape` (the choices of a run, as they are saved and replayed), `chooser` (makes them: from a seed, or from a tape),
`schedules` (which of the actors that are ready runs next).
"""

"""Body: the code of a run that is loaded: its branches, its steps, and the order in which it hears of their ends."""

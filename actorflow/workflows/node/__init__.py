"""Node: the runs that this process has: who takes them, has their code go on, and runs their steps."""

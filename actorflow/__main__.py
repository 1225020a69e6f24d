"""`python -m actorflow`: the command line, for environments whose scripts are not on the path."""

from actorflow.cli import main

main()

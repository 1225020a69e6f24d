"""Search: runs a test with many seeds, and makes of a run that fails the smallest one that fails in the same way.

`settings` (what the command line says), `outcome` (one run of a test), `tally` (figures of all runs), `tapes` (runs
that failed, kept in files), `shrink` (the smallest run that fails in the same way), `words` (its scenario),
`module_state` (names of modules that runs change), `fresh` (a seed in a process of its own), `verify` (a seed run
twice), `explain` (the error that a search raises), `orders` (all runs of a small scenario), `workers` (seeds shared out
to processes), `seeds` (the search itself).
"""

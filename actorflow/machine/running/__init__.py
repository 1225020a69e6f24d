"""Running: a chart at work in one machine, by the algorithm of the SCXML recommendation.

`program` (a chart ready to run, of `configuration`: the active states and the effects of events in them, each worked
out once), `transition_sets` (the states that a step exits and enters), `interpreter` (one machine) and `steps` (how it
handles an event), `event`, `pending` (the fields that few machines need), `platform` (the clock, the timers and the
children that a machine has), `initial` (machines that start in a given state), `snapshot`, `pickling`, `stats`, and
`paths` (the ways through a chart, found by running it).
"""

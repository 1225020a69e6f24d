"""State machines: charts, and what interprets them, with or without an actor. Layer 3.

Read in this order: `chart` (what a chart is made of), `sets` (which states a step exits and enters: the algorithm of
the SCXML recommendation), `program` (a chart ready to run, each step worked out once), `interpreter` (one instance),
then `declare` and `state_machine` (the class form and its actor). Other ways to write a chart: `builder`, `mapping`,
`scxml`.
"""

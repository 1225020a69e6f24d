"""DAGs: graphs of tasks, declared before they run.

`node` (a node and its options), `specs` (a node as declared, and the checks), `definition` (the Dag that users write),
`plan` (what a run needs of it), `table` (the nodes of a run), `ready_set` (those that may begin), `ends` (what the end
of one decides), `expansion` (nodes that turn into several), `journal` (records of a run, and how one goes on from
them), `progress` (how far a run is, made of these), `looks` (how far, as a handle shows it), `attempts` (of a task),
`runtime` (how a worker runs a node), `workers`, `runner` (the actor of a run), `memory_run` (a run in this process
alone), `digest` (to see that a DAG is another by now), `past` (the rows of a durable run), `durable_dag` (a DAG as runs
in a store know it, by its name), `dag_body` (a durable run that is loaded).
"""

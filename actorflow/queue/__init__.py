"""Queues: jobs that outlive the process, on a store.

Read in this order: `job` (the handle that users hold), `packing` (a call as the store takes it), `slots` and `ledger`
(the changes of jobs in the store, one function a transition), `claimer` (takes jobs for the workers of this process),
`attempt` and `worker` (run them), `line` (the state that all of these share), `queue`.
"""

"""Queues: jobs that outlive the process, on a store. Layer 4.

Read in this order: `job` (what users hold), `options` and `limits`, `ledger` (what happens to jobs in the store, one
function a transition), `claimer` (takes jobs for the workers of this process), `worker`, `queue`.
"""

"""World: what a simulated run runs in.

`host` (a process that may crash or pause), `cores` (those of a host), `serving` (a message whose cost passes), `link`
(how messages come from one host to another), `network` (brings them), `refs` (send by it), `scheduler` (runs the steps
of all nodes), `trail` (the digest of the steps), `crash` (the death of a host), `node` (one system of the app),
`store` (of all nodes, with its faults), `operator` (starts nodes in the midst of a run), `nesting` (refuses
a simulation in a handler of another).
"""

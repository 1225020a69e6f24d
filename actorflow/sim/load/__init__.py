"""Load: what handlers cost in virtual time, the cores that they need, and the clients that keep them busy.

`distributions` (costs that vary), `handler_names` (the method that a message runs), `costs` (those that are declared),
`clients` (when the next one comes), `world_load` (all of it in one world), `workload` (how a simulation declares it).
"""

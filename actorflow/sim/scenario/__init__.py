"""Scenario: the clients, faults and checks of the simulation of an app, as a TOML file says, or the app itself.

`lines` (the place of a table or a key in a file), `options` (keys that are the arguments of a function), `named`
(objects that a file names), `entry` (a table), `clients` (events from outside), `entries` (links, faults, chaos, stubs
and checks), `reading` (a file as these), `variation` (settings that are
changed), `scenario` (all of them; the body of a run), `measuring` (runs whose figures are recorded), `sweep` (the
figures for combinations of settings).
"""

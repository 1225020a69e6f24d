"""The public system, its settings, and the App that `actorflow run` starts.

`system` (ActorSystem), `settings`, `virtual` (VirtualSystem), `given_store` (checks of its store), `stored` (a system
with a store), `subscribers` (who gets its events), `tree` (its picture), `bounded` (calls at its end that may hang);
`app` (App), `declarations` (what it is given), `flags` (its settings on the command line), `loading` (an app by
``module:attribute``), `signals` and `handlers` (of signals), `replay` (a run against the code of today), `topology`
(its services and the events between them), `overtime` (a main thread that does not end), `first_process` (as the first
of a container).
"""

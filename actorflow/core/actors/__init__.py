"""Actors: the classes that users write, and the scheduler's view of them.

`actor` (the base class), `child` (a recipe for an actor), `context` (`self.ctx`), `traits` (the scheduler's view of a
class and its options), `arguments` (the check of arguments against the constructor), `function_actor` (it calls
functions), `transitions` (subscriptions to those of a state machine).
"""

"""Drivers: the threads that run the queue.

`baton` (threads that hand the run queue to each other), `live` (the scheduler on threads and the machine's clock),
`preemption` (timers, and handlers that block unseen), `own_thread` (an actor with `blocking=True`), `asyncio_loop`
(where actorflow and asyncio meet); `virtual` (the scheduler on a virtual clock: its steps), `virtual_waits` (what a
wait does there), `virtual_baton` (who has the baton there), `parked` (its threads that wait), `virtual_threads` (all of
its threads), `virtual_loop` (its asyncio loop), `world` (several systems on one virtual clock), `collector` (when the
garbage collector runs there), `unwinding` (how handlers that were abandoned end there), `watchdog` (which ends those
that keep the turn), `lost_baton` (the end of a world after one that it could not end).
"""

"""Scheduler: one run queue and one baton.

Everything undelivered is in one `inbox`, which any thread may append to. One thread at a time holds the baton; it takes
items out, runs handlers, and is the only one that changes refs, ready queue and timers, so these need no locks. While
it is in user code it puts a token into `slot`: the thread that takes the token out owns the baton from then on. So a
handler that waits can give the baton away, and one that blocks unseen can be overtaken; such a handler reports its end
through the inbox.

- Few messages: they run straight from the inbox, and an idle actor owns no queue at all.
- Many, or the receiver is busy: the holder sorts them into a queue a ref, and gives each ready ref a turn.

`core.drivers.live` drives this with threads and the machine's clock, `core.drivers.virtual` one step at a time with a
virtual clock and a seeded order.
"""

from __future__ import annotations

import contextvars
import random
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.atomic import exclusively, forkable_lock
from actorflow.core.futures.future import Future
from actorflow.core.futures.thread_wait import wait_outside
from actorflow.core.messages.events import Events
from actorflow.core.messages.execution import Execution
from actorflow.core.messages.handlers import HANDLERS
from actorflow.core.messages.messages import CHANGED, SUSPENDED, Ended, Stop
from actorflow.core.messages.ref_table import REFS
from actorflow.core.refs.cell import CHANGING, DEAD, IDLE, READY, WORK
from actorflow.core.refs.failure import failed
from actorflow.core.refs.ref import ActorRef
from actorflow.core.refs.termination import notify_end, refuse, watch
from actorflow.core.refs.timers import TimerEntry, TimerHeap
from actorflow.core.running import lifecycle
from actorflow.core.running.async_handler import AsyncHandler
from actorflow.core.running.extensions import Extensions, Placed, no_store
from actorflow.core.running.run_queue import AT_REST, Ahead, Done, SchedulerThread
from actorflow.errors import ActorflowError, DefinitionError

if TYPE_CHECKING:
    from actorflow.core.actors.traits import Traits
    from actorflow.core.clock import Clock
    from actorflow.core.messages.execution import Item
    from actorflow.core.running.children import Children
    from actorflow.core.running.drain import Drain


CHILDREN_LOCK: Final = forkable_lock()
HANDLER_OF = HANDLERS.get


class Scheduler(Extensions):
    """The scheduling that both drivers share: sorting, running one message, and the life cycle around it.

    Each system makes one, and so does each host. The headings in it say which thread may call a method: any, the holder
    of the baton, or one in user code, whose token is in the slot.
    """

    is_virtual: bool = False

    def __init__(self, clock: Clock, *, ask_timeout: float | None, threads: int, seed: int | None = None) -> None:
        self.clock = clock
        self.ask_timeout = ask_timeout
        self.max_threads = threads
        self.random = random.Random(seed)
        self.first_use = self.mutex()  # of what a system makes at first need: its queues, its durable actors
        self.key = f"{self.random.getrandbits(64):016x}"
        self.first_uid = next(REFS.uids)
        self.inbox: deque[Item] = deque()
        self.looking: set[object] = set()  # batches of commits that look, by work in the inbox, whether anybody runs
        self.ready: deque[Any] = deque()  # refs with a queue, single items, tasks, and items of Ahead
        self.idle: list[SchedulerThread] = []
        self.slot: list[SchedulerThread] = []
        self.timers = TimerHeap()
        self.events = Events(self)
        self.closed = False
        self.draining = False  # timers of actors fire no more
        self.drain: Drain | None = None  # once the system is to end
        self.procedures_deep = 0  # calls of procedures within each other
        self.forked = False
        self.abandoned = 0
        self.abandoned_items: dict[int, Item] = {}  # by id; late reports of them are dropped
        self.name = "actorflow"
        self.buried: deque[tuple[int, str, Any]] | None = None  # the last dead; kept once there are child processes
        self.send_limit = 16 * 2**20  # bytes that may wait to be written to a child process
        self.payload_limit = 16 * 2**20  # bytes of one stored value
        self.at_kill: list[Callable[[], object]] = []  # of a simulated kill: frees what the end of a process would
        self.move_baton = False  # each handler has another thread than the one before; hosts do so, too
        self.node = ""  # where in the tree of processes this one is: "" is its root, "2.1" the first host of its second
        self.root: Children | None = None  # the actors directly under the system
        self.make_children: Callable[[Scheduler, ActorRef[Any]], Any]
        # Handlers begin with an empty context, as in the threads of pykka's actors; then one look at its length tells
        # whether a handler changed it.
        self.context = contextvars.Context()
        self._free_queues: list[deque[Item]] = []

    # --- any thread --------------------------------------------------------------------------------------------------

    def post(self, ref: ActorRef[Any], message: Any, future: Future[Any] | None) -> None:
        """Put a message of the runtime's own into the inbox."""
        self.inbox.append((ref, message, future, None))
        if self.idle:
            self.wake()
        if self.closed:
            self.close_inbox()

    def end_later(self, end: Callable[[], object]) -> None:
        """Have frames ended whose system was killed in virtual time: at once, as nobody checks what they do."""
        end()

    def watch(self, watcher: ActorRef[Any], ref: ActorRef[Any], actor: Any) -> None:
        """Have the incarnation `actor` of the watcher told when the actor is dead."""
        self.post_work(lambda: watch(watcher, ref, actor))

    def report_unread(
        self, ref: ActorRef[Any], message: Any, sender: ActorRef[Any] | None, error: BaseException
    ) -> None:
        """Publish the error of a request, which nobody has read, as a dead letter."""
        if self.closed:  # the holder does no more work; this is the last that is said of the error
            self.events.dead_letter(ref, message, sender, error)
        else:  # the thread that collects the future may be in the midst of anything
            self.post_work(lambda: self.events.dead_letter(ref, message, sender, error))

    def tell_holder(self) -> None:
        """Have the holder look at an item just put into the inbox."""
        if self.idle:
            self.wake()
        if self.closed:
            self.close_inbox()

    def post_work(self, work: Callable[[], Any]) -> None:
        """Have the holder of the baton call `work`; it must be short and must not wait."""
        self.inbox.append((WORK, work, None, None))
        if self.idle:
            self.wake()

    def wake(self) -> None:
        """Wake the idle holder, if there is one."""
        raise NotImplementedError  # pragma: no cover - each driver has its own

    def wait(self, worker: SchedulerThread, future: Future[Any], timeout: float | None) -> None:
        """Block a handler until the future is done."""
        raise NotImplementedError  # pragma: no cover - each driver has its own

    def block_loop(self, execution: Execution, future: Future[Any], timeout: float | None) -> None:  # noqa: ARG002 - see virtual time
        """Block the thread of the asyncio loop, in a handler there, until the future is done."""
        wait_outside(future, timeout)

    def refused_wait(self, ref: ActorRef[Any], future: Future[Any]) -> DefinitionError | None:  # noqa: ARG002 - of virtual time
        """Return the error of a handler's wait for something that is not in this scheduler's time."""
        return None

    def is_between(self, worker: SchedulerThread) -> bool:
        """Say whether a worker is between two handlers, as far as that is known."""
        return worker.item is AT_REST

    def allocate_lock(self) -> Any:
        """Return a new lock for a thread to park on."""
        raise NotImplementedError  # pragma: no cover - each driver has its own

    def time_for(self, ref: ActorRef[Any]) -> float:  # noqa: ARG002 - a simulated host may have a clock that is wrong
        """Return seconds since the epoch, by the clock of an actor's process."""
        return self.clock.time()

    def random_for(self, path: str) -> random.Random:  # noqa: ARG002 - in virtual time each has its own
        """Return the random numbers of an actor, also for draws of the runtime on its behalf: one stream for all."""
        return self.random

    def mutex(self) -> Any:
        """Return a new re-entrant lock for parts that a system makes at first need; a handler may wait with it held."""
        return threading.RLock()

    def executions(self, ref: ActorRef[Any]) -> list[Execution]:
        """Return where handlers of the actor run or wait."""
        raise NotImplementedError  # pragma: no cover - each driver has its own

    def close_coroutine(self, coro: Coroutine[Any, Any, Any]) -> None:
        """End the coroutine of a handler that was abandoned."""
        coro.close()

    def cut_off(self, execution: Execution) -> None:
        """Note that the handler that runs there was abandoned; in virtual time its frames end."""

    def close(self) -> None:
        """End all threads; the actors are dead."""
        raise NotImplementedError  # pragma: no cover - each driver has its own

    def place(self, parent: Children, traits: Traits) -> Placed:
        """Return the kind of ref of an actor with `durable` or `host`, and its traits in this process.

        Raises:
            DefinitionError: it is durable, and this system has no store.
        """
        options = traits.options
        if options.durable:
            path = f"{parent.path}/{options.name}"
            if self.place_durable is None:
                raise no_store(path, self.node)
            return self.place_durable(path, traits)
        assert options.host is not None
        return options.host.place(traits, self)

    def check_usable(self) -> None:
        """Raise if this process is a fork of the one that runs the scheduler."""
        if self.forked:
            msg = "this actor system belongs to the parent process: a fork has none of its threads; make a new one"
            raise ActorflowError(msg)

    # --- holder of the baton -----------------------------------------------------------------------------------------

    def sort(self, item: Item) -> None:
        """Put an item where it belongs."""
        ref, message = item[0], item[1]
        if ref is WORK:
            message()
            return
        kind = type(message)  # not `__class__`: that is an attribute of the user's object, and may raise
        if kind is AsyncHandler:
            self.ready.append(message)
        elif kind is Done:
            cold = ref._cold
            if cold is not None and cold.pinned is not None:
                cold.pinned.forget(message.item)
            if not self.abandoned_items or self.abandoned_items.pop(id(message.item), None) is None:
                lifecycle.finished(ref, message.outcome)
        else:
            state = ref._state
            if state == IDLE and not self.is_virtual:
                ref._state = READY
                self.ready.append(item)  # stands for the ref: one message needs no queue
            elif state == IDLE:  # a seed may pick the ref's entries in any order, so there may be one only
                ref._state = READY
                ref._queue = self.new_queue()
                ref._queue.append(item)
                self.ready.append(ref)
            elif state == DEAD or (kind is Stop and message.final and ref._parent.bury_between(ref)):
                refuse(item, None)
            else:
                if ref._queue is None:
                    ref._queue = self.new_queue()
                ref._queue.append(item)
                if ref._state == IDLE:  # just constructed: its spawner has opened the mailbox meanwhile
                    self.open(ref)

    def open(self, ref: ActorRef[Any]) -> None:
        """Let an actor whose constructor has returned handle the messages sent to it meanwhile."""
        if ref._state == IDLE or (ref._state == CHANGING and ref._actor is not None and not ref._traits.has_on_start):
            lifecycle.release(ref)

    def sort_all(self) -> None:
        """Sort the items that have come in so far."""
        popleft, sort = self.inbox.popleft, self.sort
        last: Any = None
        append: Any = None
        for _ in range(len(self.inbox)):
            try:
                item = popleft()
            except IndexError:  # some work among it has sorted the rest
                return
            ref = item[0]
            if ref is last:  # a run of messages to one actor, 30 ns each less
                append(item)
                continue
            queue = ref._queue
            # The common case inline: the ref waits for its turn (what concerns a handler finds it BUSY).
            if queue is not None and ref._state == READY:
                last, append = ref, queue.append
                append(item)
            else:
                last = None
                sort(item)

    def new_queue(self) -> deque[Item]:
        """Return an empty queue; they are reused, since a deque takes 760 bytes and 70 ns to make."""
        return self._free_queues.pop() if self._free_queues else deque()

    def free_queue(self, ref: ActorRef[Any]) -> None:
        """Take the queue away from a ref that has no messages."""
        queue = ref._queue
        if queue is not None:
            ref._queue = None
            if len(self._free_queues) < 100:
                queue.clear()
                self._free_queues.append(queue)

    def add_timer(self, due: float, fire: Callable[[], object]) -> TimerEntry:
        """Have the holder call `fire` when the clock reaches `due`."""
        return self.timers.add(due, fire)

    def call_later(self, seconds: float, act: Callable[[], object]) -> None:
        """Have the holder call a function in some seconds; may be called from any thread."""
        due = self.clock.monotonic() + seconds
        self.post_work(lambda: self.add_timer(due, act))

    def run(self, ref: ActorRef[Any], message: Any) -> Future[Any]:
        """Run a life-cycle message in the actor, ahead of its mailbox; the future tells how it went."""
        future: Future[Any] = Future(ref)
        self.ready.append(Ahead((ref, message, future, None)))
        return future

    def withdraw(self, ref: ActorRef[Any]) -> None:
        """Take the single message of a ready actor out of the ready queue, to the front of its own."""
        if ref._state == READY:
            for item in [entry for entry in self.ready if entry.__class__ is tuple and entry[0] is ref]:
                self.ready.remove(item)
                self.misplaced(item)

    def misplaced(self, item: Item) -> None:
        """Deal with a message whose actor began to change, or died, while it waited for its turn."""
        ref = item[0]
        if ref._state == DEAD:
            refuse(item, None)
        else:
            ref._queue = ref._queue if ref._queue is not None else self.new_queue()
            ref._queue.appendleft(item)

    # --- user code: the token is in the slot -------------------------------------------------------------------------

    def handle(self, worker: SchedulerThread, item: Item) -> Any:
        """Run one message. Returns None, SUSPENDED, or how the incarnation ended (Ended)."""
        ref, message, future = item[0], item[1], item[2]
        worker.item = item
        try:
            handler = HANDLER_OF(type(message))
            result = ref._actor.on_receive(message) if handler is None else handler(ref, message)  # type: ignore[union-attr]
            if result is not None or worker.item is not item:
                return self.finish(worker, item, result)
            if future is not None:
                future._settle(None, None)
        except BaseException as error:  # noqa: BLE001 - each kind has its own rule
            outcome = failed(self, worker, error, item[2]) or CHANGED
            del item, future  # the error's traceback keeps this frame, and the future has the error
            return outcome
        return None

    def finish(self, worker: SchedulerThread, item: Item, result: Any) -> Any:
        """Deal with the result of a handler: an answer, a coroutine, or an outcome."""
        kind = type(result)
        if kind is CoroutineType:
            return self.begin(worker, item, result)
        if kind is Ended:
            return result
        changed = worker.item is not item  # put aside by stash, promised by reply_later, or abandoned
        future = worker.item[2]
        if future is not None:
            future._settle(result, None)
        return CHANGED if changed else None

    def begin(self, worker: SchedulerThread, item: Item, coro: Coroutine[Any, Any, Any]) -> Any:
        """Run an `async def` handler up to its first wait, or give it to the asyncio loop."""
        if item[0]._traits.loop:
            self.start_in_loop(item, coro)
            return SUSPENDED
        task = AsyncHandler(self, item, coro)
        outcome = task.step(worker)
        return CHANGED if outcome is None and task.item is not item else outcome

    def start_in_loop(self, item: Item, coro: Coroutine[Any, Any, Any]) -> None:
        """Run a handler as a task on the system's asyncio loop."""
        raise NotImplementedError  # pragma: no cover - the subclasses have it

    def resume(self, worker: SchedulerThread, task: AsyncHandler) -> Any:
        """Let a suspended handler go on."""
        worker.item = task.item
        return task.step(worker)

    def after(self, worker: SchedulerThread, ref: ActorRef[Any], outcome: Any) -> None:
        """Act on the outcome of a handler, with the baton in hand."""
        if not worker.is_abandoned:  # else the incarnation was abandoned meanwhile
            lifecycle.finished(ref, outcome)

    def children_of(self, ref: ActorRef[Any]) -> Any:
        """Return the children of an actor; made at the first one."""
        if ref._children is None:
            exclusively(CHILDREN_LOCK, lambda: self._make_children(ref))
        return ref._children

    def _make_children(self, ref: ActorRef[Any]) -> None:
        if ref._children is None:
            ref._children = self.make_children(self, ref)

    # --- end ---------------------------------------------------------------------------------------------------------

    def end_of(self, ref: ActorRef[Any]) -> Future[Any]:
        """Return a future that is set once the actor is dead."""
        future: Future[Any] = Future(ref)
        self.post_work(lambda: notify_end(ref, future))
        return future

    def close_inbox(self) -> None:
        """Answer the messages that came in after the end."""
        while self.inbox:
            try:
                item = self.inbox.popleft()
            except IndexError:
                return
            if item[0] is not WORK and type(item[1]) is not Done and type(item[1]) is not AsyncHandler:
                refuse(item, None)

"""Bugs of state that two parties read and write."""

import actorflow as af
from actorflow.sim import Link
from tests.sim.bugs.planted import Keeper, begin, planted


class Adder(af.Actor):
    """Adds one by reading and writing."""

    def __init__(self, *, fixed=False):
        super().__init__()
        self.fixed = fixed

    def add(self, keeper):
        if self.fixed:
            keeper.call(Keeper.add, "n", 1).get(timeout=9)
            return
        value = keeper.call(Keeper.get, "n").get(timeout=9)
        keeper.call(Keeper.put, "n", value + 1).get(timeout=9)


@planted(events=2)
def lost_update(sim, fixed):
    """Two read, both write what they read plus one."""
    adder = af.child(Adder, fixed=fixed)
    keeper, one, other = begin(sim, keeper=Keeper, one=adder, other=adder)
    for i in range(6):
        sim.at(i * 0.3).call(lambda i=i: (one, other)[i % 2].cast(Adder.add, keeper))
    events = 6

    def all_are_counted():
        done = events - sum(1 for name in sim.chooser.left_out if name.startswith("event"))
        assert sim.peek(keeper).rows.get("n", 0) == done

    sim.eventually(all_are_counted, "no update is lost", within=20)
    sim.run(until=10)


class Buyer(af.Actor):
    """Takes from the stock if there is some."""

    def __init__(self, *, fixed=False):
        super().__init__()
        self.fixed = fixed

    def buy(self, stock):
        left = stock.call(Keeper.get, "shoes").get(timeout=9)
        while left < 3:  # three there are; counted is what was sold
            if not self.fixed:
                stock.cast(Keeper.add, "shoes", 1)
                return
            if stock.call(Keeper.swap, "shoes", left, left + 1).get(timeout=9):
                return
            left = stock.call(Keeper.get, "shoes").get(timeout=9)


@planted(events=4)
def check_then_act(sim, fixed):
    """The stock is looked at, then taken from: more are sold than there were."""
    buyer = af.child(Buyer, fixed=fixed)
    stock, *buyers = begin(sim, stock=Keeper, a=buyer, b=buyer, c=buyer)
    for i in range(7):
        sim.at(i * 0.2).call(lambda i=i: buyers[i % 3].cast(Buyer.buy, stock))
    sim.always(lambda: sim.peek(stock).rows.get("shoes", 0) <= 3, "not more are sold than there were")
    sim.run(until=10)


class Primary(af.Actor):
    """Writes, and tells its replica."""

    def __init__(self, *, fixed=False):
        super().__init__()
        self.fixed = fixed

    def write(self, key, value, replica):
        future = replica.call(Keeper.put, key, value)
        if self.fixed:
            future.get(timeout=9)


class Author(af.Actor):
    """Writes, then reads what it wrote."""

    def __init__(self):
        super().__init__()
        self.surprised = 0

    def edit(self, value, primary, replica):
        primary.call(Primary.write, "page", value, replica).get(timeout=9)
        if replica.call(Keeper.get, "page").get(timeout=9) != value:
            self.surprised += 1


@planted(events=1)
def read_your_writes(sim, fixed):
    """The replica does not have the write yet that its author reads."""
    primary, replica, author = begin(sim, primary=af.child(Primary, fixed=fixed), replica=Keeper, author=Author)
    for i in range(5):
        sim.at(i * 0.5).call(lambda i=i: author.cast(Author.edit, i + 1, primary, replica))
    sim.always(lambda: sim.peek(author).surprised == 0, "an author sees what it wrote")
    sim.run(until=10)


class Screen(af.Actor):
    """Shows the answer to the last question."""

    def __init__(self, *, fixed=False):
        super().__init__()
        self.fixed, self.asked, self.shown = fixed, 0, 0

    def type(self, *servers):
        self.asked += 1
        servers[self.asked % 2].cast(Server.search, self.asked, self.actor_ref)

    def show(self, number):
        if not self.fixed or number > self.shown:
            self.shown = number


class Server(af.Actor):
    """Answers by a message."""

    def search(self, number, screen):
        screen.cast(Screen.show, number)


@planted(events=2)
def older_answer_overwrites(sim, fixed):
    """The answer to an earlier question comes later."""
    screen, left, right = begin(sim, screen=af.child(Screen, fixed=fixed), left=Server, right=Server)
    for i in range(6):
        sim.at(i * 0.05).call(lambda: screen.cast(Screen.type, left, right))
    sim.run(until=5)
    assert sim.peek(screen).shown == sim.peek(screen).asked


class Order(af.Actor):
    """Is made, then changed."""

    def __init__(self, *, fixed=False):
        super().__init__()
        self.fixed, self.orders, self.early, self.lost = fixed, {}, [], 0

    def create(self, order):
        self.orders[order] = "new"
        for early in [early for early in self.early if early == order]:
            self.early.remove(early)
            self.pay(order)

    def pay(self, order):
        if order in self.orders:
            self.orders[order] = "paid"
        elif self.fixed:
            self.early.append(order)
        else:
            self.lost += 1


class Till(af.Actor):
    """Is told of an order, and says that it is paid."""

    def take(self, order, orders):
        orders.cast(Order.pay, order)


class Web(af.Actor):
    """Makes an order, and sends its customer to the till."""

    def submit(self, order, orders, till):
        orders.cast(Order.create, order)
        till.cast(Till.take, order, orders)


@planted(events=1)
def reorder_assumption(sim, fixed):
    """Two ways lead to one place, and the longer one is the faster."""
    web, orders, till = begin(sim, web=Web, orders=af.child(Order, fixed=fixed), till=Till)
    for i in range(5):
        sim.at(i).call(lambda i=i: web.cast(Web.submit, i, orders, till))
    sim.always(lambda: sim.peek(orders).lost == 0, "no payment is lost")
    sim.run(until=10)


class Stats(af.Actor):
    """Counts events; a broker may bring one twice."""

    def __init__(self, *, fixed=False):
        super().__init__()
        self.fixed, self.seen, self.count = fixed, set(), 0

    def happened(self, number):
        if self.fixed and number in self.seen:
            return
        self.seen.add(number)
        self.count += 1


class Source(af.Actor):
    """Publishes."""

    def publish(self, number, stats):
        stats.cast(Stats.happened, number)


@planted(events=1)
def handler_not_idempotent(sim, fixed):
    """An event comes twice, and counts twice."""
    link = Link(latency=(0.001, 0.2), duplicate=0.05, hostile=True)
    source, stats = begin(sim, link=link, source=Source, stats=af.child(Stats, fixed=fixed))
    for i in range(6):
        sim.at(i * 0.1).call(lambda i=i: source.cast(Source.publish, i, stats))
    sim.always(lambda: sim.peek(stats).count == len(sim.peek(stats).seen), "each event counts once")
    sim.run(until=5)


class Poll(af.Actor):
    """Asks all voters in rounds; an answer that comes too late is one of the next round."""

    def __init__(self, *, fixed=False):
        super().__init__()
        self.fixed, self.round, self.votes, self.wrong = fixed, 0, [], 0

    def begin(self, *voters):
        self.round += 1
        self.votes = []
        for voter in voters:
            voter.cast(Voter.vote, self.round, self.actor_ref)

    def voted(self, round_, voter):
        if self.fixed and round_ != self.round:
            return
        self.votes.append(voter)
        self.wrong += len(self.votes) != len(set(self.votes))


class Voter(af.Actor):
    """Votes."""

    def vote(self, round_, poll):
        poll.cast(Poll.voted, round_, self.actor_ref.name)


@planted(events=2)
def late_answer_counts_twice(sim, fixed):
    """A vote of the last round is counted in this one."""
    poll, *voters = begin(sim, poll=af.child(Poll, fixed=fixed), a=Voter, b=Voter, c=Voter)
    for i in range(5):
        sim.at(i * 0.15).call(lambda: poll.cast(Poll.begin, *voters))
    sim.always(lambda: sim.peek(poll).wrong == 0, "nobody votes twice in a round")
    sim.run(until=5)


class Racer(af.Actor):
    """Takes steps by messages to itself."""

    def go(self, left, goal):
        if left:
            self.actor_ref.cast(Racer.go, left - 1, goal)
        else:
            goal.tell("racer")


class Walker(af.Actor):
    """Takes one step."""

    def go(self, goal):
        goal.tell("walker")


class Goal(af.Actor):
    """Trusts that one step is faster than twenty; `fixed` does not."""

    def __init__(self, *, fixed=False):
        super().__init__()
        self.fixed, self.first = fixed, None

    def on_receive(self, message):
        if self.first is None and not (self.fixed and message == "racer"):
            self.first = message


@planted(events=1)
def starvation(sim, fixed):
    """An actor that is ready does not run for twenty-one steps."""
    goal, racer, walker = begin(sim, 0.0, Link(), goal=af.child(Goal, fixed=fixed), racer=Racer, walker=Walker)
    sim.at(0).call(lambda: (racer.cast(Racer.go, 20, goal), walker.cast(Walker.go, goal)))
    sim.always(lambda: sim.peek(goal).first != "racer", "one step is faster than twenty")
    sim.run(until=1)

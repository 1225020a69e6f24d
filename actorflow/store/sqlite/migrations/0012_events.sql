-- An event that was published, in the log. Numbers tell the order of commits.
create table af_event (
    seq integer primary key, -- never used again, as the newest event is never removed; autoincrement takes a page a commit
    part integer not null, -- the partition, by the key
    key text,
    type text not null,
    version integer not null,
    body blob not null,
    id text not null,
    source text not null, -- path of the actor that published it
    correlation text not null, -- id of the event that the conversation began with
    causation text, -- id of the event in whose handler it was published
    at real not null
);

create index af_event_correlation on af_event (correlation, seq);

-- An event beside the log. `stage`: 0 parked (its key waits for another try), 1 dead, 2 yet to be handled aloud in a replay,
-- 3 published with a delay, and not in the log yet.
create table af_event_aside (
    number integer primary key autoincrement,
    stage integer not null,
    consumer text not null, -- the durable actor that it is of; '' at stage 3
    lane text not null, -- the key; without one the number in the log
    due real, -- when it is tried, or published; null: behind the one before it in its lane
    attempt integer not null default 0, -- tries that failed
    late integer not null default 0, -- it was dead, and is tried again: out of order
    quiet integer not null default 0, -- it was handled before a replay: what its handler sends is dropped
    error blob,
    keep_until real,
    seq integer, -- in the log
    part integer not null,
    key text,
    type text not null,
    version integer not null,
    body blob not null,
    id text not null,
    source text not null,
    correlation text not null,
    causation text,
    at real not null
);

create index af_event_aside_of on af_event_aside (consumer, stage, number);
create index af_event_aside_due on af_event_aside (due) where stage = 3;
create index af_event_aside_kept on af_event_aside (keep_until) where keep_until is not null;

-- A consumer of the log: a durable service, whose `members` are durable actors and share the partitions.
create table af_consumer (
    name text primary key,
    path text not null, -- of its actor, below the system
    service text not null, -- name of its class
    members integer not null,
    types text not null, -- names of the events that it has ever known, as JSON
    paused integer not null default 0
) without rowid;

-- A node that has an actor of a consumer, as owner or as standby: members are shared out among them.
create table af_consumer_node (
    consumer text not null,
    node text not null,
    primary key (consumer, node)
) without rowid;

-- Of a member of a consumer: its offset of each partition, up to which it has handled the log, and more, as JSON.
alter table af_actor add column log text;

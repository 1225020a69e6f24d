-- An event that was published, in the log. Within a partition numbers tell the order of commits: whoever takes one has
-- a lock of the partition, until the end of the transaction.
create table actorflow.event (
    seq bigint generated always as identity primary key,
    part integer not null, -- the partition, by the key
    key text,
    type text not null,
    version integer not null,
    body bytea not null,
    id text not null,
    source text not null, -- path of the actor that published it
    correlation text not null, -- id of the event that the conversation began with
    causation text, -- id of the event in whose handler it was published
    at double precision not null
);

create index event_part on actorflow.event (part, seq);
create index event_correlation on actorflow.event (correlation, seq);

-- An event beside the log. `stage`: 0 parked (its key waits for another try), 1 dead, 2 yet to be handled aloud in a replay,
-- 3 published with a delay, and not in the log yet.
create table actorflow.event_aside (
    number bigint generated always as identity primary key,
    stage integer not null,
    consumer text not null, -- the durable actor that it is of; '' at stage 3
    lane text not null, -- the key; without one the number in the log
    due double precision, -- when it is tried, or published; null: behind the one before it in its lane
    attempt integer not null default 0, -- tries that failed
    late integer not null default 0, -- it was dead, and is tried again: out of order
    quiet integer not null default 0, -- it was handled before a replay: what its handler sends is dropped
    error bytea,
    keep_until double precision,
    seq bigint, -- in the log
    part integer not null,
    key text,
    type text not null,
    version integer not null,
    body bytea not null,
    id text not null,
    source text not null,
    correlation text not null,
    causation text,
    at double precision not null
);

create index event_aside_of on actorflow.event_aside (consumer, stage, number);
create index event_aside_due on actorflow.event_aside (due) where stage = 3;
create index event_aside_kept on actorflow.event_aside (keep_until) where keep_until is not null;

-- A consumer of the log: a durable service, whose `members` are durable actors and share the partitions.
create table actorflow.consumer (
    name text primary key,
    path text not null, -- of its actor, below the system
    service text not null, -- name of its class
    members integer not null,
    types text not null, -- names of the events that it has ever known, as JSON
    paused integer not null default 0
);

-- A node that has an actor of a consumer, as owner or as standby: members are shared out among them.
create table actorflow.consumer_node (
    consumer text not null,
    node text not null,
    primary key (consumer, node)
);

-- Of a member of a consumer: its offset of each partition, up to which it has handled the log, and more, as JSON.
alter table actorflow.actor add column log text;

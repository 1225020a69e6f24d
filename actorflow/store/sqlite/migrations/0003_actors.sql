-- A durable actor: its state, and who works on it. `next`: it handles this row of its mailbox next, or the first behind.
create table af_actor (
    name text primary key,
    owner text, -- id of a node; null: nobody
    epoch integer not null default 0, -- every write of an owner names it
    state blob,
    next integer not null default 0
) without rowid;

create index af_actor_owner on af_actor (owner) where owner is not null;

-- A message that is not handled. `stage`: 0 it waits, 1 it was handled and its answer is promised.
create table af_mail (
    id integer primary key autoincrement,
    receiver text not null,
    stage integer not null default 0,
    sender blob,
    asker text, -- the node where somebody waits for the answer
    attempt integer not null default 0, -- tries that failed
    crashes integer not null default 0, -- processes that died on it
    started integer not null default 0, -- it is being handled; noted of those only on which a process may have died
    body blob not null,
    error blob
);

create index af_mail_waiting on af_mail (receiver, id);

-- An answer on its way to another node.
create table af_answer (
    id integer primary key, -- of the message
    asker text not null,
    value blob,
    error blob,
    keep_until real not null
);

create index af_answer_asker on af_answer (asker);
create index af_answer_kept on af_answer (keep_until);

create table af_actor_timer (
    id integer primary key autoincrement,
    actor text not null,
    due real not null,
    period real, -- null: it fires once
    attempt integer not null default 0,
    body blob not null
);

create index af_actor_timer_actor on af_actor_timer (actor, due);

-- What was received from elsewhere, by the sender's id, so that it is not received twice.
create table af_mark (
    receiver text not null,
    id text not null,
    at real not null,
    primary key (receiver, id)
) without rowid;

create index af_mark_at on af_mark (at);

-- A message, or a timer's, that no try could handle.
create table af_dead_mail (
    id integer primary key autoincrement,
    receiver text not null,
    sender blob,
    body blob not null,
    error blob not null,
    attempt integer not null,
    crashes integer not null,
    at real not null,
    keep_until real not null
);

create index af_dead_mail_receiver on af_dead_mail (receiver, id);
create index af_dead_mail_kept on af_dead_mail (keep_until);

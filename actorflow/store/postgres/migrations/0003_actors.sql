-- A durable actor: its state, and who works on it. `next`: it handles this row of its mailbox next, or the first behind.
create table actorflow.actor (
    name text primary key,
    owner text, -- id of a node; null: nobody
    epoch bigint not null default 0, -- every write of an owner names it
    state bytea,
    next bigint not null default 0
);

create index actor_owner on actorflow.actor (owner) where owner is not null;

-- A message that is not handled. `stage`: 0 it waits, 1 it was handled and its answer is promised.
create table actorflow.mail (
    id bigint generated always as identity primary key,
    receiver text not null,
    stage integer not null default 0,
    sender bytea,
    asker text, -- the node where somebody waits for the answer
    attempt integer not null default 0, -- tries that failed
    crashes integer not null default 0, -- processes that died on it
    started integer not null default 0, -- it is being handled; noted of those only on which a process may have died
    body bytea not null,
    error bytea
);

create index mail_waiting on actorflow.mail (receiver, id);

-- An answer on its way to another node.
create table actorflow.answer (
    id bigint primary key, -- of the message
    asker text not null,
    value bytea,
    error bytea,
    keep_until double precision not null
);

create index answer_asker on actorflow.answer (asker);
create index answer_kept on actorflow.answer (keep_until);

create table actorflow.actor_timer (
    id bigint generated always as identity primary key,
    actor text not null,
    due double precision not null,
    period double precision, -- null: it fires once
    attempt integer not null default 0,
    body bytea not null
);

create index actor_timer_actor on actorflow.actor_timer (actor, due);

-- What was received from elsewhere, by the sender's id, so that it is not received twice.
create table actorflow.mark (
    receiver text not null,
    id text not null,
    at double precision not null,
    primary key (receiver, id)
);

create index mark_at on actorflow.mark (at);

-- A message, or a timer's, that no try could handle.
create table actorflow.dead_mail (
    id bigint generated always as identity primary key,
    receiver text not null,
    sender bytea,
    body bytea not null,
    error bytea not null,
    attempt integer not null,
    crashes integer not null,
    at double precision not null,
    keep_until double precision not null
);

create index dead_mail_receiver on actorflow.dead_mail (receiver, id);
create index dead_mail_kept on actorflow.dead_mail (keep_until);

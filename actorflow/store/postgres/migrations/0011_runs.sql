-- A run of a workflow. `state` says what it waits for: -1 a slot of its key, 0 ready to be claimed, 1 mail or its time, 2 it has an owner,
-- 3 parked (this code cannot go on with it), 4 over.
create table actorflow.run (
    id bigint generated always as identity primary key,
    name text not null unique, -- its id, as users know it
    workflow text not null,
    version text,
    hash text, -- of the definition that began it, for reports
    parent text, -- name of the run that started it
    parent_step text, -- and the step there, as JSON
    on_close text, -- what becomes of it when the parent ends
    state integer not null default 0,
    status text not null default 'queued',
    wake double precision, -- when it is ready again, should no mail come
    priority integer not null default 0,
    key text,
    slot text, -- the key of its workflow's limit; null: it has none
    slotted integer not null default 0, -- it holds a slot of that key
    deadline double precision,
    owner text, -- id of a node; null: nobody
    epoch bigint not null default 0, -- every write of an owner names it
    input bytea not null,
    output bytea,
    error bytea,
    reason text, -- why it is parked or paused
    misfits text, -- the definitions that could not go on with it, each as ",hash,"
    turn integer not null default 0, -- how often it was continued as new
    seed text, -- of its random numbers; null: its name and when it was created
    created double precision not null,
    started double precision,
    ended double precision,
    keep_until double precision
);

create index run_ready on actorflow.run (workflow, priority, id) where state = 0;
create index run_wake on actorflow.run (wake) where state in (1, -1) and wake is not null;
create index run_behind on actorflow.run (workflow, slot, priority, id) where state = -1;
create index run_ahead on actorflow.run (workflow, slot, priority, id) where state = 0 and slotted = 1;
create index run_owner on actorflow.run (owner) where owner is not null;
create index run_misfit on actorflow.run (workflow, misfits) where state = 3 and misfits is not null;
create index run_parent on actorflow.run (parent, state) where parent is not null;
create index run_kept on actorflow.run (keep_until) where keep_until is not null;

-- The journal of a run: its steps that are over, in the order in which the body has heard of them.
create table actorflow.record (
    run bigint not null,
    n bigint not null,
    branch text not null,
    name text not null,
    occurrence integer not null,
    start integer not null, -- the how-manieth start in its branch
    kind integer not null, -- 0 result, 1 failed attempt, 2 cancel, 3 cancelled child, 5 patched
    hash bytea, -- of the arguments
    value bytea,
    error bytea,
    attempt integer not null default 1,
    began double precision,
    at double precision not null,
    primary key (run, n)
);

-- The end of job `job` is mail to a step of a run: in `address` is the run, and where the step stands.
create table actorflow.awaited (
    job bigint not null,
    address text not null
);

create index awaited_job on actorflow.awaited (job);

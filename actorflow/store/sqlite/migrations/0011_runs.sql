-- A run of a workflow. `state` says what it waits for: -1 a slot of its key, 0 ready to be claimed, 1 mail or its time, 2 it has an owner,
-- 3 parked (this code cannot go on with it), 4 over.
create table af_run (
    id integer primary key,
    name text not null unique, -- its id, as users know it
    workflow text not null,
    version text,
    hash text, -- of the definition that began it, for reports
    parent text, -- name of the run that started it
    parent_step text, -- and the step there, as JSON
    on_close text, -- what becomes of it when the parent ends
    state integer not null default 0,
    status text not null default 'queued',
    wake real, -- when it is ready again, should no mail come
    priority integer not null default 0,
    key text,
    slot text, -- the key of its workflow's limit; null: it has none
    slotted integer not null default 0, -- it holds a slot of that key
    deadline real,
    owner text, -- id of a node; null: nobody
    epoch integer not null default 0, -- every write of an owner names it
    input blob not null,
    output blob,
    error blob,
    reason text, -- why it is parked or paused
    misfits text, -- the definitions that could not go on with it, each as ",hash,"
    turn integer not null default 0, -- how often it was continued as new
    seed text, -- of its random numbers; null: its name and when it was created
    created real not null,
    started real,
    ended real,
    keep_until real
);

create index af_run_ready on af_run (workflow, priority, id) where state = 0;
create index af_run_wake on af_run (wake) where state in (1, -1) and wake is not null;
create index af_run_behind on af_run (workflow, slot, priority, id) where state = -1;
create index af_run_ahead on af_run (workflow, slot, priority, id) where state = 0 and slotted = 1;
create index af_run_owner on af_run (owner) where owner is not null;
create index af_run_misfit on af_run (workflow, misfits) where state = 3 and misfits is not null;
create index af_run_parent on af_run (parent, state) where parent is not null;
create index af_run_kept on af_run (keep_until) where keep_until is not null;

-- The journal of a run: its steps that are over, in the order in which the body has heard of them. A table with row
-- numbers: new records of 64 runs are in 18 pages then, and in 66 if each run has its records together.
create table af_record (
    run integer not null,
    n integer not null,
    branch text not null,
    name text not null,
    occurrence integer not null,
    start integer not null, -- the how-manieth start in its branch
    kind integer not null, -- 0 result, 1 failed attempt, 2 cancel, 3 cancelled child, 5 patched
    hash blob, -- of the arguments
    value blob,
    error blob,
    attempt integer not null default 1,
    began real,
    at real not null,
    primary key (run, n)
);

-- The end of job `job` is mail to a step of a run: in `address` is the run, and where the step stands.
create table af_awaited (
    job integer not null,
    address text not null
);

create index af_awaited_job on af_awaited (job);

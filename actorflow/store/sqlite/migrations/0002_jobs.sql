-- A queue: what holds for it over all processes.
create table af_queue (
    name text primary key,
    paused integer not null default 0,
    concurrency integer, -- jobs at once; null: no limit
    rate real, -- jobs a second; null: no limit
    burst real,
    tokens real not null default 0, -- of the bucket behind `rate`, as they were at `filled`
    filled real not null default 0,
    key_concurrency integer, -- the same for each key
    key_rate real,
    key_burst real,
    running integer not null default 0, -- counted only where `concurrency` is set: it costs a page in each commit
    completed integer not null default 0, -- counters, for stats
    failed integer not null default 0,
    cancelled integer not null default 0,
    retried integer not null default 0,
    dead integer not null default 0
) without rowid;

-- A key of a queue with limits for each key: `slots` of its jobs are ready or running, the others wait behind it.
create table af_key (
    queue text not null,
    key text not null,
    slots integer not null default 0,
    tokens real not null default 0,
    filled real not null default 0,
    ready integer not null default 0, -- of the slots: jobs that will take a token when they are claimed
    free_at real, -- when its bucket has a token again, and jobs wait for that
    primary key (queue, key)
) without rowid;

create index af_key_free on af_key (queue, free_at) where free_at is not null;

-- A job. `stage` says what it waits for: 0 ready to be claimed, 1 its time, 2 other jobs, 3 its key, 4 it runs, 5 over.
create table af_job (
    id integer primary key, -- never used again, as the newest job is never removed; autoincrement takes a page a commit
    queue text not null,
    task text not null,
    stage integer not null,
    status text not null default 'queued',
    priority integer not null default 0,
    due real,
    expires real,
    attempt integer not null default 0,
    crashes integer not null default 0,
    owner text,
    epoch integer not null default 0,
    lease real,
    key text,
    "unique" text,
    at_most_once integer not null default 0,
    cancelling integer not null default 0,
    needs integer not null default 0, -- jobs that it waits for
    gather text, -- ids of jobs, as JSON: their results are its argument
    tags text,
    args blob not null,
    options blob,
    progress text,
    result blob,
    error blob,
    created real not null,
    started real,
    ended real,
    keep_until real
);

create index af_job_ready on af_job (queue, priority, id) where stage = 0;
create index af_job_due on af_job (queue, due) where stage = 1;
create index af_job_ahead on af_job (queue, key, priority, id) where stage = 0 and key is not null;
create index af_job_behind on af_job (queue, key, priority, id) where stage = 3;
create index af_job_running on af_job (owner) where stage = 4;
create index af_job_expires on af_job (queue, expires) where expires is not null and stage < 4;
create index af_job_kept on af_job (keep_until) where keep_until is not null;
create index af_job_status on af_job (queue, status, id) where status in ('failed', 'dead');
create unique index af_job_unique on af_job (queue, "unique") where "unique" is not null and stage < 5;

-- Job `job` waits for job `needs`.
create table af_need (
    needs integer not null,
    job integer not null,
    primary key (needs, job)
) without rowid;

-- A schedule, and when it last fired: once, however many processes run it.
create table af_schedule (
    queue text not null,
    name text not null,
    cron text not null,
    zone text not null,
    catch_up text not null,
    next real not null, -- when it fires
    last real,
    declared real not null, -- when a living node last said that it has it
    stopped integer not null default 0, -- it was reported that no node declares it
    primary key (queue, name)
) without rowid;

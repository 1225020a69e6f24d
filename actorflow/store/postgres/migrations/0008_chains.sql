-- A need that was told of the end that it waits for, and stays as long as a group's results are still to be gathered.
alter table actorflow.need add column met integer not null default 0;
-- Any end will do, not only a completed one.
alter table actorflow.need add column anyway integer not null default 0;
update actorflow.need set met = 1 where exists (select 1 from actorflow.job where id = needs and stage = 5);

-- A job that is over, and of whose dependants some are yet to be told: a list of work, done in parts.
create table actorflow.ended (job bigint primary key);

-- The class in its arguments that the process which would have run it does not know; then `stage` is -1.
alter table actorflow.job add column lacks text;
create index job_lacking on actorflow.job (queue, lacks, priority, id) where stage = -1;

-- By task: jobs of tasks that a process does not know are passed over at once, however many they are.
drop index actorflow.job_ready;
create index job_ready on actorflow.job (queue, task, priority, id) where stage = 0;

-- A job that runs and is replaced (`cancelling` is 2, or 3 if it is to end) leaves its key to the one that replaces it.
drop index actorflow.job_unique;
create unique index job_unique on actorflow.job (queue, "unique") where "unique" is not null and stage < 5 and cancelling < 2;

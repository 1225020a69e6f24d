-- A need that was told of the end that it waits for, and stays as long as a group's results are still to be gathered.
alter table af_need add column met integer not null default 0;
-- Any end will do, not only a completed one.
alter table af_need add column anyway integer not null default 0;
update af_need set met = 1 where exists (select 1 from af_job where id = needs and stage = 5);

-- A job that is over, and of whose dependants some are yet to be told: a list of work, done in parts.
create table af_ended (job integer primary key);

-- The class in its arguments that the process which would have run it does not know; then `stage` is -1.
alter table af_job add column lacks text;
create index af_job_lacking on af_job (queue, lacks, priority, id) where stage = -1;

-- By task: jobs of tasks that a process does not know are passed over at once, however many they are.
drop index af_job_ready;
create index af_job_ready on af_job (queue, task, priority, id) where stage = 0;

-- A job that runs and is replaced (`cancelling` is 2, or 3 if it is to end) leaves its key to the one that replaces it.
drop index af_job_unique;
create unique index af_job_unique on af_job (queue, "unique") where "unique" is not null and stage < 5 and cancelling < 2;

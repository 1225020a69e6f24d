-- name: declare_queue
insert into af_queue (name, concurrency, rate, burst, tokens, filled, key_concurrency, key_rate, key_burst)
values (:name, :concurrency, :rate, :burst, coalesce(:burst, 0), :now, :key_concurrency, :key_rate, :key_burst)
on conflict (name) do update set
    concurrency = excluded.concurrency, rate = excluded.rate, burst = excluded.burst,
    key_concurrency = excluded.key_concurrency, key_rate = excluded.key_rate, key_burst = excluded.key_burst;

-- name: add_queue
insert into af_queue (name) values (:name) on conflict (name) do nothing;

-- name: queue
select paused, concurrency, rate, burst, tokens, filled, key_concurrency, key_rate, key_burst, running
from af_queue where name = :name;

-- name: limits
select concurrency, rate, burst, key_concurrency, key_rate, key_burst from af_queue where name = :name;

-- name: queue_names
select name from af_queue where substr(name, 1, 9) <> '(runs of ' union select distinct queue from af_job order by 1;

-- name: pause
update af_queue set paused = :paused where name = :name;

-- name: count
update af_queue set
    running = running + :running, completed = completed + :completed,
    failed = failed + :failed, cancelled = cancelled + :cancelled, retried = retried + :retried, dead = dead + :dead
where name = :name;

-- name: count_running
update af_queue set
    running = case when concurrency is null then 0
        else (select count(*) from af_job where queue = :name and stage = 4) end
where name = :name;

-- name: set_tokens
update af_queue set tokens = :tokens, filled = :now where name = :name;

-- name: put
insert into af_job (queue, task, stage, priority, due, expires, key, "unique", at_most_once, needs, gather, tags, args, options, created)
values (:queue, :task, :stage, :priority, :due, :expires, :key, :unique, :at_most_once, :needs, :gather, :tags, :args, :options, :created)
returning id;

-- name: put_plain
insert into af_job (queue, task, stage, priority, args, options, created) values (:queue, :task, 0, :priority, :args, :options, :created);

-- name: put_running
insert into af_job (queue, task, stage, status, priority, args, options, created, owner, epoch, attempt, started, lease)
select :queue, :task, 4, 'running', 0, :args, :options, :now, :owner, 1, 1, :now, :lease
from af_queue as limits
where name = :queue and paused = 0 and concurrency is null and rate is null and key_concurrency is null and key_rate is null
    and not exists (select 1 from af_job where queue = :queue and stage = 0)
    and not exists (select 1 from af_job where queue = :queue and stage = 1 and due <= :now);

-- name: put_numbered
insert into af_job (id, queue, task, stage, priority, args, options, created)
select json_extract(:ids, '$[0]') + key, :queue, :task, 0, :priority, cast(value as blob), :options, :created from json_each(:payloads);

-- name: put_whole
insert into af_job (id, queue, task, stage, priority, due, expires, key, at_most_once, tags, args, options, created)
select json_extract(:ids, '$[0]') + job.key, :queue, :task, :stage, :priority, :due, :expires, :key, :at_most_once, :tags, cast(value as blob), :options, :created
from json_each(:payloads) as job;

-- name: new_ids
with recursive new (id, count) as (
    select coalesce((select max(id) from af_job), 0) + 1, 1
    union all select id + 1, count + 1 from new where count < :count
)
select id from new;

-- name: unique
select id, stage, expires from af_job where queue = :queue and "unique" = :unique and stage < 5 and cancelling < 2;

-- name: add_need
insert into af_need (needs, job, anyway) select id, :job, :anyway from af_job where id = :needs and stage < 5 on conflict do nothing;

-- name: keep_need
insert into af_need (needs, job, met) values (:needs, :job, 1) on conflict do nothing;

-- name: claim
update af_job set
    stage = 4, status = 'running', owner = :owner, epoch = epoch + 1, attempt = attempt + 1, started = :now, lease = :lease, begun = 0
where id in (
    select id from af_job where queue = :queue and stage = 0 and task = :task order by priority, id limit :limit
)
returning id, task, args, options, attempt, crashes, epoch, priority, key, at_most_once, created, due;

-- name: ready_tasks
with recursive ready (task) as (
    select min(task) from af_job where queue = :queue and stage = 0
    union all
    select (select min(task) from af_job where queue = :queue and stage = 0 and task > ready.task) from ready where ready.task is not null
)
select task, task in (select value from json_each(:tasks)) from ready where task is not null limit :limit;

-- name: known_ready
select value from json_each(:tasks)
where exists (select 1 from af_job where queue = :queue and stage = 0 and task = value);

-- name: claim_of
update af_job set
    stage = 4, status = 'running', owner = :owner, epoch = epoch + 1, attempt = attempt + 1, started = :now, lease = :lease, begun = 0
where id in (
    select job.id
    from json_each(:tasks) as known, json_each((
        select json_group_array(id) from (
            select id from af_job where queue = :queue and stage = 0 and task = known.value order by priority, id limit :limit
        )
    )) as next join af_job as job on job.id = next.value
    order by job.priority, job.id limit :limit
)
returning id, task, args, options, attempt, crashes, epoch, priority, key, at_most_once, created, due;

-- name: claim_one
update af_job set
    stage = 4, status = 'running', owner = :owner, epoch = epoch + 1, attempt = attempt + 1, started = :now, lease = :lease, begun = 0
where id = :id and stage < 4 and stage <> 2
returning id, task, args, options, attempt, crashes, epoch, priority, key, at_most_once, created, due;

-- name: wake_due
update af_job set stage = 0
where id in (select id from af_job where queue = :queue and stage = 1 and due <= :now order by due limit :limit)
returning id, key;

-- name: look
select
    paused, concurrency, rate, burst, tokens, filled, key_concurrency, key_rate, key_burst, running,
    (select min(due) from af_job where queue = :name and stage = 1),
    (select min(free_at) from af_key where queue = :name and free_at is not null),
    (select min(expires) from af_job where queue = :name and stage < 4 and expires is not null),
    (select min(lacks) from af_job where queue = :name and stage = -1)
from af_queue where name = :name;

-- name: lacking
with recursive lacking (name) as (
    select min(lacks) from af_job where queue = :queue and stage = -1
    union all
    select (select min(lacks) from af_job where queue = :queue and stage = -1 and lacks > lacking.name) from lacking where lacking.name is not null
)
select name from lacking where name is not null limit :limit;

-- name: that_lack
select id, key from af_job where queue = :queue and stage = -1 and lacks = :lacks order by priority, id limit :limit;

-- name: park
update af_job set
    stage = -1, lacks = :lacks, status = 'queued', owner = null, lease = null, attempt = attempt - 1, error = :error
where id = :id and owner = :owner and epoch = :epoch and stage = 4 and cancelling = 0;

-- name: is_ready
select 1 from af_job where queue = :queue and stage = 0 limit 1;

-- name: complete
update af_job set
    stage = 5, status = 'completed', owner = null, lease = null, ended = :now, result = :result, keep_until = :keep
where id = :id and owner = :owner and epoch = :epoch and stage = 4;

-- name: again
update af_job set
    stage = :stage, status = 'queued', owner = null, lease = null, due = :due, error = :error, crashes = crashes + :crashes,
    attempt = attempt - :undone, options = coalesce(:options, options)
where id = :id and owner = :owner and epoch = :epoch and stage = 4 and cancelling = 0;

-- name: give_back
update af_job set stage = :stage, status = 'queued', owner = null, lease = null, attempt = attempt - 1
where id = :id and owner = :owner and epoch = :epoch and stage = 4 and cancelling = 0;

-- name: end
update af_job set
    stage = 5, status = :status, owner = null, lease = null, ended = :now, error = coalesce(:error, error), keep_until = :keep,
    crashes = crashes + :crashes
where id = :id and owner = :owner and epoch = :epoch and stage = 4;

-- name: end_queued
update af_job set stage = 5, status = :status, ended = :now, error = :error, keep_until = :keep
where id = :id and stage < 4;

-- name: place
select queue, key, stage, task, gather, "unique" from af_job where id = :id;

-- name: cancelling
update af_job set cancelling = cancelling | 1 where id = :id and stage = 4 returning owner;

-- name: supersede
update af_job set cancelling = cancelling + 2 where id = :id and stage = 4 and cancelling < 2;

-- name: reinstate
update af_job set cancelling = cancelling - 2
where id = (
    select max(id) from af_job where owner is not null and stage = 4 and queue = :queue and "unique" = :unique and cancelling >= 2
);

-- name: cancelled_how
select cancelling from af_job where id = :id and owner = :owner and epoch = :epoch and stage = 4;

-- name: to_cancel
select id from af_job where owner = :owner and queue = :queue and stage = 4 and cancelling in (1, 3);

-- name: expired
select id from af_job where queue = :queue and stage < 4 and expires is not null and expires <= :now
order by expires limit :limit;

-- name: progress
update af_job set progress = :progress where id = :id and owner = :owner and epoch = :epoch and stage = 4;

-- name: mine
select id, epoch from af_job where id in (select value from json_each(:ids)) and owner = :owner and stage = 4;

-- name: complete_alike
update af_job set
    stage = 5, status = 'completed', owner = null, lease = null, ended = :now, result = :result, keep_until = :keep
where id in (select value from json_each(:ids));

-- name: complete_mine
update af_job set
    stage = 5, status = 'completed', owner = null, lease = null, ended = :now, result = :result, keep_until = :keep
where id = :id;

-- name: needed
select distinct needs from af_need where needs in (select value from json_each(:ids)) and met = 0;

-- name: dependants
select job, anyway from af_need where needs = :needs and met = 0 order by job limit :limit;

-- name: drop_needs
delete from af_need where needs = :needs and met = 0 and job <= :last
and not exists (select 1 from af_job as job where job.id = af_need.job and job.stage = 2 and job.gather is not null);

-- name: keep_needs
update af_need set met = 1 where needs = :needs and met = 0 and job <= :last;

-- name: need_met
update af_job set needs = needs - 1 where id = :id and stage = 2 returning needs, due, key, queue, gather;

-- name: add_ended
insert into af_ended (job) values (:id) on conflict do nothing;

-- name: take_ended
delete from af_ended where job in (select job from af_ended limit :limit) returning job;

-- name: any_ended
select 1 from af_ended limit 1;

-- name: status
select status from af_job where id = :id;

-- name: gather
select gather from af_job where id = :id;

-- name: drop_gathered
delete from af_need where job = :id and needs in (select value from json_each(:ids));

-- name: size_of_results
select coalesce(sum(coalesce(length(result), 4) + 1), 0) from af_job where id in (select value from json_each(:ids));

-- name: results
select id, result from af_job where id in (select value from json_each(:ids));

-- name: set_args
update af_job set args = :args, gather = null where id = :id;

-- name: set_stage
update af_job set stage = :stage where id = :id;

-- name: begun
update af_job set begun = 1 where id = :id and owner = :owner and epoch = :epoch and stage = 4;

-- name: owned
select id, queue, key, epoch, crashes, at_most_once, task, begun from af_job where owner = :owner and stage = 4;

-- name: owned_one
select id, queue, key, epoch, crashes, at_most_once, task, begun from af_job where id = :id and owner = :owner and stage = 4;

-- name: overdue
select id, owner from af_job where stage = 4 and lease < :now and owner <> :owner and queue = :queue limit :limit;

-- name: get
select id, queue, task, status, priority, attempt, crashes, progress, created, started, ended, due, key, tags, cancelling, error
from af_job where id = :id;

-- name: contents
select args, result from af_job where id = :id;

-- name: why
select status, stage, queue, task, due, lacks, needs, (select paused from af_queue where name = job.queue) from af_job as job where id = :id;

-- name: add_awaited
insert into af_awaited (job, address) values (:job, :address);

-- name: awaiting
select address from af_awaited where job = :job;

-- name: awaited_among
select distinct job from af_awaited where job in (select value from json_each(:ids));

-- name: drop_awaited
delete from af_awaited where job = :job;

-- name: forget_awaited
delete from af_awaited where job = :job and address = :address;

-- name: end_of
select status, result, error, attempt, started from af_job where id = :id;

-- name: outcome
select status, result, error, task from af_job where id = :id;

-- name: peek
select job.id
from json_each(:tasks) as known, json_each((
    select json_array(id) from (
        select id from af_job where queue = :queue and stage = 0 and task = known.value order by priority, id limit 1
    )
)) as next join af_job as job on job.id = next.value
order by job.priority, job.id limit 1;

-- name: list
select id, queue, task, status, priority, attempt, crashes, progress, created, started, ended, due, key, tags, cancelling, error
from af_job where queue = :queue and (:status is null or status = :status) and (:task is null or task = :task) and id < :before
order by id desc limit :limit;

-- name: list_running
select id, queue, task, status, priority, attempt, crashes, progress, created, started, ended, due, key, tags, cancelling, error
from af_job where queue = :queue and owner is not null and stage = 4 and (:task is null or task = :task) and +id < :before
order by +id desc limit :limit;

-- name: list_failed
select id, queue, task, status, priority, attempt, crashes, progress, created, started, ended, due, key, tags, cancelling, error
from af_job where queue = :queue and status = :status and status in ('failed', 'dead') and (:task is null or task = :task) and id < :before
order by id desc limit :limit;

-- name: list_tagged
select job.id, job.queue, job.task, job.status, job.priority, job.attempt, job.crashes, job.progress, job.created, job.started, job.ended, job.due, job.key, job.tags, job.cancelling, job.error
from af_job_tag as tag join af_job as job on job.id = tag.job
where tag.queue = :queue and tag.tag = :tag and (:status is null or job.status = :status) and (:task is null or job.task = :task) and tag.job < :before
order by tag.job desc limit :limit;

-- name: count_jobs
select count(*) from af_job where queue = :queue and (:status is null or status = :status) and (:task is null or task = :task);

-- name: count_tagged
select count(*) from af_job_tag as tag join af_job as job on job.id = tag.job
where tag.queue = :queue and tag.tag = :tag and (:status is null or job.status = :status) and (:task is null or job.task = :task);

-- name: add_tag
insert into af_job_tag (queue, tag, job) values (:queue, :tag, :job) on conflict do nothing;

-- name: drop_tag
delete from af_job_tag where queue = :queue and tag = :tag and job = :job;

-- name: of_task
select id, args from af_job where task = :task order by id;

-- name: depth
select
    (select count(*) from af_job where queue = :queue and stage = 0),
    (select count(*) from af_job where queue = :queue and stage = 1),
    (select count(*) from af_job where queue = :queue and stage = 2),
    (select count(*) from af_job where queue = :queue and stage = 3),
    (select count(*) from af_job where queue = :queue and owner is not null and stage = 4),
    (select count(*) from af_job where queue = :queue and stage = -1);

-- name: count_ready
select count(*) from af_job where queue = :queue and stage = 0 and task = :task;

-- name: prune
delete from af_job where id in (
    select id from af_job
    where keep_until is not null and keep_until <= :now and id < (select max(id) from af_job)
    and not exists (select 1 from af_need where needs = af_job.id) limit :limit -- its result is still to be gathered
)
returning id, queue, tags;

-- name: newest
select id, queue from af_job order by id desc limit 1;

-- name: not_begun
select id from af_job where queue = :queue and stage < 4 and id < :before order by id desc limit :limit;

-- name: still_not_begun
select id from af_job where id in (select value from json_each(:ids)) and queue = :queue and stage < 4 order by id;

-- name: purge_dependants
select distinct need.job from af_need as need join af_job as job on job.id = need.job
where need.needs in (select value from json_each(:ids)) and job.stage = 2 and job.id not in (select value from json_each(:ids)) limit :limit;

-- name: purge
delete from af_job where id in (select value from json_each(:ids)) and stage < 4 returning id, key, stage, "unique", tags;

-- name: purge_needed
delete from af_need where needs in (select value from json_each(:ids));

-- name: purge_needs
delete from af_need where job in (select value from json_each(:ids));

-- name: revive
update af_job set
    stage = 3, status = 'queued', attempt = 0, crashes = 0, error = null, ended = null, keep_until = null, due = null,
    expires = null, cancelling = 0, progress = null
where id = :id and status in ('dead', 'failed', 'cancelled') returning queue, key, needs;

-- name: unique_of
select other.id from af_job as job join af_job as other on other.queue = job.queue and other."unique" = job."unique"
where job.id = :id and job."unique" is not null and other.stage < 5 and other.cancelling < 2;

-- name: key
select slots, ready, tokens, filled, free_at from af_key where queue = :queue and key = :key;

-- name: set_key
insert into af_key (queue, key, slots, ready, tokens, filled, free_at)
values (:queue, :key, :slots, :ready, :tokens, :filled, :free_at)
on conflict (queue, key) do update set
    slots = excluded.slots, ready = excluded.ready, tokens = excluded.tokens, filled = excluded.filled,
    free_at = excluded.free_at;

-- name: drop_key
delete from af_key where queue = :queue and key = :key;

-- name: keys_after
select queue, key from af_key where (queue, key) > (:queue, :key) order by queue, key limit :limit;

-- name: prune_keys
delete from af_key where (queue, key) in (
    select one.queue, one.key from af_key as one join af_queue as limits on limits.name = one.queue
    where (one.queue, one.key) > (:queue, :key) and (one.queue, one.key) <= (:last_queue, :last_key)
    and one.slots = 0 and one.ready = 0 and one.free_at is null
    and (limits.key_rate is null or one.filled + (limits.key_burst - one.tokens) / limits.key_rate <= :now)
);

-- name: free_keys
select key from af_key where queue = :queue and free_at is not null and free_at <= :now order by free_at limit :limit;

-- name: set_back
update af_key set free_at = :now where queue = :queue and free_at is not null and filled > :now;

-- name: next_behind
select id, priority from af_job where queue = :queue and key = :key and stage = 3 order by priority, id limit 1;

-- name: last_ahead
select id, priority from af_job where queue = :queue and key = :key and stage = 0 order by priority desc, id desc limit 1;

-- name: keys_behind
select distinct key from af_job where queue = :queue and stage = 3 and key is not null;

-- name: all_behind
update af_job set stage = 3 where queue = :queue and stage = 0 and key is not null;

-- name: all_ahead
update af_job set stage = 0 where queue = :queue and stage = 3;

-- name: drop_keys
delete from af_key where queue = :queue;

-- name: count_keys
insert into af_key (queue, key, slots, tokens, filled)
select queue, key, count(*), :tokens, :now from af_job
where queue = :queue and stage = 4 and key is not null group by queue, key;

-- name: forget_needs
delete from af_need where job = :job;

-- name: set_needs
update af_job set needs = :needs where id = :id;

-- name: beat
update af_job set lease = :lease where owner = :owner and stage = 4;

-- name: counts
select completed, failed, cancelled, retried, dead, paused from af_queue where name = :name;

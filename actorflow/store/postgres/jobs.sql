-- name: declare_queue
insert into actorflow.queue (name, concurrency, rate, burst, tokens, filled, key_concurrency, key_rate, key_burst)
values (:name, :concurrency, :rate, :burst, coalesce(:burst::double precision, 0), :now, :key_concurrency, :key_rate, :key_burst)
on conflict (name) do update set
    concurrency = excluded.concurrency, rate = excluded.rate, burst = excluded.burst,
    key_concurrency = excluded.key_concurrency, key_rate = excluded.key_rate, key_burst = excluded.key_burst;

-- name: add_queue
insert into actorflow.queue (name) values (:name) on conflict (name) do nothing;

-- name: queue
select paused, concurrency, rate, burst, tokens, filled, key_concurrency, key_rate, key_burst, running
from actorflow.queue where name = :name
for update; -- whoever counts against the limits has them alone until the commit

-- name: limits
select concurrency, rate, burst, key_concurrency, key_rate, key_burst from actorflow.queue where name = :name;

-- name: queue_names
select name from actorflow.queue where substr(name, 1, 9) <> '(runs of ' union select distinct queue from actorflow.job order by 1;

-- name: pause
update actorflow.queue set paused = :paused where name = :name;

-- name: count
update actorflow.queue set
    running = running + :running, completed = completed + :completed,
    failed = failed + :failed, cancelled = cancelled + :cancelled, retried = retried + :retried, dead = dead + :dead
where name = :name;

-- name: count_running
update actorflow.queue set
    running = case when concurrency is null then 0
        else (select count(*) from actorflow.job where queue = :name and stage = 4) end
where name = :name;

-- name: set_tokens
update actorflow.queue set tokens = :tokens, filled = :now where name = :name;

-- name: put
insert into actorflow.job (queue, task, stage, priority, due, expires, key, "unique", at_most_once, needs, gather, tags, args, options, created)
values (:queue, :task, :stage, :priority, :due, :expires, :key, :unique, :at_most_once, :needs, :gather, :tags, :args, :options, :created)
returning id;

-- name: put_plain
insert into actorflow.job (queue, task, stage, priority, args, options, created) values (:queue, :task, 0, :priority, :args, :options, :created)
returning id;

-- name: put_running
insert into actorflow.job (queue, task, stage, status, priority, args, options, created, owner, epoch, attempt, started, lease)
select :queue, :task, 4, 'running', 0, :args::bytea, :options::bytea, :now::double precision, :owner, 1, 1, :now::double precision, :lease::double precision
from actorflow.queue as limits
where name = :queue and paused = 0 and concurrency is null and rate is null and key_concurrency is null and key_rate is null
    and not exists (select 1 from actorflow.job where queue = :queue and stage = 0)
    and not exists (select 1 from actorflow.job where queue = :queue and stage = 1 and due <= :now)
for update of limits -- as `queue`
returning id;

-- name: put_numbered
insert into actorflow.job (id, queue, task, stage, priority, args, options, created)
select job.id::bigint, :queue, :task, 0, :priority::bigint, convert_to(job.args, 'UTF8'), :options::bytea, :created::double precision
from rows from (json_array_elements_text(:ids::json), json_array_elements_text(:payloads::json)) as job (id, args);

-- name: put_whole
insert into actorflow.job (id, queue, task, stage, priority, due, expires, key, at_most_once, tags, args, options, created)
select
    job.id::bigint, :queue, :task, :stage::integer, :priority::bigint, :due::double precision, :expires::double precision, :key::text,
    :at_most_once::integer, :tags::text, convert_to(job.args, 'UTF8'), :options::bytea, :created::double precision
from rows from (json_array_elements_text(:ids::json), json_array_elements_text(:payloads::json)) as job (id, args);

-- name: new_ids
select nextval('actorflow.job_id_seq') from generate_series(1, :count::bigint);

-- name: unique
select id, stage, expires from actorflow.job where queue = :queue and "unique" = :unique and stage < 5 and cancelling < 2;

-- name: add_need
insert into actorflow.need (needs, job, anyway)
select id, :job::bigint, :anyway::integer from actorflow.job where id = :needs and stage < 5
for update -- so that it does not end meanwhile without seeing who waits for it
on conflict do nothing;

-- name: keep_need
insert into actorflow.need (needs, job, met) values (:needs, :job, 1) on conflict do nothing;

-- name: claim
with next as materialized (
    select id from actorflow.job where queue = :queue and stage = 0 and task = :task order by priority, id limit :limit
    for update skip locked
)
update actorflow.job as job set
    stage = 4, status = 'running', owner = :owner, epoch = epoch + 1, attempt = attempt + 1, started = :now, lease = :lease, begun = 0
from next where job.id = next.id
returning job.id, task, args, options, attempt, crashes, epoch, priority, key, at_most_once, created, due;

-- name: ready_tasks
with recursive ready (task) as (
    select min(task) from actorflow.job where queue = :queue and stage = 0
    union all
    select (select min(task) from actorflow.job where queue = :queue and stage = 0 and task > ready.task) from ready where ready.task is not null
)
select task, task in (select json_array_elements_text(:tasks::json)) from ready where task is not null limit :limit;

-- name: known_ready
select task from json_array_elements_text(:tasks::json) as known (task)
where exists (select 1 from actorflow.job as job where job.queue = :queue and job.stage = 0 and job.task = known.task);

-- name: claim_of
with next as materialized (
    select job.id
    from json_array_elements_text(:tasks::json) as known (task) cross join lateral (
        select id, priority from actorflow.job where queue = :queue and stage = 0 and task = known.task order by priority, id limit :limit
        for update skip locked
    ) as job
    order by job.priority, job.id limit :limit
)
update actorflow.job as job set
    stage = 4, status = 'running', owner = :owner, epoch = epoch + 1, attempt = attempt + 1, started = :now, lease = :lease, begun = 0
from next where job.id = next.id
returning job.id, task, args, options, attempt, crashes, epoch, priority, key, at_most_once, created, due;

-- name: claim_one
update actorflow.job set
    stage = 4, status = 'running', owner = :owner, epoch = epoch + 1, attempt = attempt + 1, started = :now, lease = :lease, begun = 0
where id = :id and stage < 4 and stage <> 2
returning id, task, args, options, attempt, crashes, epoch, priority, key, at_most_once, created, due;

-- name: wake_due
with next as materialized (
    select id from actorflow.job where queue = :queue and stage = 1 and due <= :now order by due limit :limit
    for update skip locked
)
update actorflow.job as job set stage = 0 from next where job.id = next.id returning job.id, key;

-- name: look
select
    paused, concurrency, rate, burst, tokens, filled, key_concurrency, key_rate, key_burst, running,
    (select min(due) from actorflow.job where queue = :name and stage = 1),
    (select min(free_at) from actorflow.key where queue = :name and free_at is not null),
    (select min(expires) from actorflow.job where queue = :name and stage < 4 and expires is not null),
    (select min(lacks) from actorflow.job where queue = :name and stage = -1)
from actorflow.queue where name = :name
for update; -- as `queue`

-- name: lacking
with recursive lacking (name) as (
    select min(lacks) from actorflow.job where queue = :queue and stage = -1
    union all
    select (select min(lacks) from actorflow.job where queue = :queue and stage = -1 and lacks > lacking.name) from lacking where lacking.name is not null
)
select name from lacking where name is not null limit :limit;

-- name: that_lack
select id, key from actorflow.job where queue = :queue and stage = -1 and lacks = :lacks order by priority, id limit :limit;

-- name: park
update actorflow.job set
    stage = -1, lacks = :lacks, status = 'queued', owner = null, lease = null, attempt = attempt - 1, error = :error
where id = :id and owner = :owner and epoch = :epoch and stage = 4 and cancelling = 0;

-- name: is_ready
select 1 from actorflow.job where queue = :queue and stage = 0 limit 1;

-- name: complete
update actorflow.job set
    stage = 5, status = 'completed', owner = null, lease = null, ended = :now, result = :result, keep_until = :keep
where id = :id and owner = :owner and epoch = :epoch and stage = 4;

-- name: again
update actorflow.job set
    stage = :stage, status = 'queued', owner = null, lease = null, due = :due, error = :error, crashes = crashes + :crashes,
    attempt = attempt - :undone, options = coalesce(:options, options)
where id = :id and owner = :owner and epoch = :epoch and stage = 4 and cancelling = 0;

-- name: give_back
update actorflow.job set stage = :stage, status = 'queued', owner = null, lease = null, attempt = attempt - 1
where id = :id and owner = :owner and epoch = :epoch and stage = 4 and cancelling = 0;

-- name: end
update actorflow.job set
    stage = 5, status = :status, owner = null, lease = null, ended = :now, error = coalesce(:error, error), keep_until = :keep,
    crashes = crashes + :crashes
where id = :id and owner = :owner and epoch = :epoch and stage = 4;

-- name: end_queued
update actorflow.job set stage = 5, status = :status, ended = :now, error = :error, keep_until = :keep
where id = :id and stage < 4;

-- name: place
select queue, key, stage, task, gather, "unique" from actorflow.job where id = :id;

-- name: cancelling
update actorflow.job set cancelling = cancelling | 1 where id = :id and stage = 4 returning owner;

-- name: supersede
update actorflow.job set cancelling = cancelling + 2 where id = :id and stage = 4 and cancelling < 2;

-- name: reinstate
update actorflow.job set cancelling = cancelling - 2
where id = (
    select max(id) from actorflow.job where owner is not null and stage = 4 and queue = :queue and "unique" = :unique and cancelling >= 2
);

-- name: cancelled_how
select cancelling from actorflow.job where id = :id and owner = :owner and epoch = :epoch and stage = 4;

-- name: to_cancel
select id from actorflow.job where owner = :owner and queue = :queue and stage = 4 and cancelling in (1, 3);

-- name: expired
select id from actorflow.job where queue = :queue and stage < 4 and expires is not null and expires <= :now
order by expires limit :limit;

-- name: progress
update actorflow.job set progress = :progress where id = :id and owner = :owner and epoch = :epoch and stage = 4;

-- name: mine
select id, epoch from actorflow.job
where id in (select json_array_elements_text(:ids::json)::bigint) and owner = :owner and stage = 4
for update;

-- name: complete_alike
update actorflow.job set
    stage = 5, status = 'completed', owner = null, lease = null, ended = :now, result = :result, keep_until = :keep
where id in (select json_array_elements_text(:ids::json)::bigint);

-- name: complete_mine
update actorflow.job set
    stage = 5, status = 'completed', owner = null, lease = null, ended = :now, result = :result, keep_until = :keep
where id = :id;

-- name: needed
select distinct needs from actorflow.need where needs in (select json_array_elements_text(:ids::json)::bigint) and met = 0;

-- name: dependants
select job, anyway from actorflow.need where needs = :needs and met = 0 order by job limit :limit;

-- name: drop_needs
delete from actorflow.need as need where needs = :needs and met = 0 and job <= :last
and not exists (select 1 from actorflow.job as job where job.id = need.job and job.stage = 2 and job.gather is not null);

-- name: keep_needs
update actorflow.need set met = 1 where needs = :needs and met = 0 and job <= :last;

-- name: need_met
update actorflow.job set needs = needs - 1 where id = :id and stage = 2 returning needs, due, key, queue, gather;

-- name: add_ended
insert into actorflow.ended (job) values (:id) on conflict do nothing;

-- name: take_ended
delete from actorflow.ended where job in (select job from actorflow.ended limit :limit for update skip locked) returning job;

-- name: any_ended
select 1 from actorflow.ended limit 1;

-- name: status
select status from actorflow.job where id = :id;

-- name: gather
select gather from actorflow.job where id = :id;

-- name: drop_gathered
delete from actorflow.need where job = :id and needs in (select json_array_elements_text(:ids::json)::bigint);

-- name: size_of_results
select coalesce(sum(coalesce(length(result), 4) + 1), 0) from actorflow.job where id in (select json_array_elements_text(:ids::json)::bigint);

-- name: results
select id, result from actorflow.job where id in (select json_array_elements_text(:ids::json)::bigint);

-- name: set_args
update actorflow.job set args = :args, gather = null where id = :id;

-- name: set_stage
update actorflow.job set stage = :stage where id = :id;

-- name: begun
update actorflow.job set begun = 1 where id = :id and owner = :owner and epoch = :epoch and stage = 4;

-- name: owned
select id, queue, key, epoch, crashes, at_most_once, task, begun from actorflow.job where owner = :owner and stage = 4;

-- name: owned_one
select id, queue, key, epoch, crashes, at_most_once, task, begun from actorflow.job where id = :id and owner = :owner and stage = 4;

-- name: overdue
select id, owner from actorflow.job where stage = 4 and lease < :now and owner <> :owner and queue = :queue limit :limit;

-- name: get
select id, queue, task, status, priority, attempt, crashes, progress, created, started, ended, due, key, tags, cancelling, error
from actorflow.job where id = :id;

-- name: contents
select args, result from actorflow.job where id = :id;

-- name: why
select status, stage, queue, task, due, lacks, needs, (select paused from actorflow.queue where name = job.queue) from actorflow.job as job where id = :id;

-- name: add_awaited
insert into actorflow.awaited (job, address) values (:job, :address);

-- name: awaiting
select address from actorflow.awaited where job = :job;

-- name: awaited_among
select distinct job from actorflow.awaited where job in (select json_array_elements_text(:ids::json)::bigint);

-- name: drop_awaited
delete from actorflow.awaited where job = :job;

-- name: forget_awaited
delete from actorflow.awaited where job = :job and address = :address;

-- name: end_of
select status, result, error, attempt, started from actorflow.job where id = :id;

-- name: outcome
select status, result, error, task from actorflow.job where id = :id;

-- name: peek
select job.id
from json_array_elements_text(:tasks::json) as known (task) cross join lateral (
    select id, priority from actorflow.job where queue = :queue and stage = 0 and task = known.task order by priority, id limit 1
) as job
order by job.priority, job.id limit 1;

-- name: list
select id, queue, task, status, priority, attempt, crashes, progress, created, started, ended, due, key, tags, cancelling, error
from actorflow.job where queue = :queue and (:status::text is null or status = :status) and (:task::text is null or task = :task) and id < :before
order by id desc limit :limit;

-- name: list_running
select id, queue, task, status, priority, attempt, crashes, progress, created, started, ended, due, key, tags, cancelling, error
from actorflow.job where queue = :queue and stage = 4 and (:task::text is null or task = :task) and id < :before
order by id desc limit :limit;

-- name: list_failed
select id, queue, task, status, priority, attempt, crashes, progress, created, started, ended, due, key, tags, cancelling, error
from actorflow.job where queue = :queue and status = :status and status in ('failed', 'dead') and (:task::text is null or task = :task) and id < :before
order by id desc limit :limit;

-- name: list_tagged
select job.id, job.queue, job.task, job.status, job.priority, job.attempt, job.crashes, job.progress, job.created, job.started, job.ended, job.due, job.key, job.tags, job.cancelling, job.error
from actorflow.job_tag as tag join actorflow.job as job on job.id = tag.job
where tag.queue = :queue and tag.tag = :tag and (:status::text is null or job.status = :status) and (:task::text is null or job.task = :task) and tag.job < :before
order by tag.job desc limit :limit;

-- name: count_jobs
select count(*) from actorflow.job where queue = :queue and (:status::text is null or status = :status) and (:task::text is null or task = :task);

-- name: count_tagged
select count(*) from actorflow.job_tag as tag join actorflow.job as job on job.id = tag.job
where tag.queue = :queue and tag.tag = :tag and (:status::text is null or job.status = :status) and (:task::text is null or job.task = :task);

-- name: add_tag
insert into actorflow.job_tag (queue, tag, job) values (:queue, :tag, :job) on conflict do nothing;

-- name: drop_tag
delete from actorflow.job_tag where queue = :queue and tag = :tag and job = :job;

-- name: of_task
select id, args from actorflow.job where task = :task order by id;

-- name: depth
select
    (select count(*) from actorflow.job where queue = :queue and stage = 0),
    (select count(*) from actorflow.job where queue = :queue and stage = 1),
    (select count(*) from actorflow.job where queue = :queue and stage = 2),
    (select count(*) from actorflow.job where queue = :queue and stage = 3),
    (select count(*) from actorflow.job where queue = :queue and owner is not null and stage = 4),
    (select count(*) from actorflow.job where queue = :queue and stage = -1);

-- name: count_ready
select count(*) from actorflow.job where queue = :queue and stage = 0 and task = :task;

-- name: prune
with old as materialized (
    select id from actorflow.job where keep_until is not null and keep_until <= :now
    and not exists (select 1 from actorflow.need where needs = job.id) -- its result is still to be gathered
    limit :limit for update skip locked
)
delete from actorflow.job as job using old where job.id = old.id returning job.id, job.queue, job.tags;

-- name: newest
select id, queue from actorflow.job order by id desc limit 1;

-- name: not_begun
select id from actorflow.job where queue = :queue and stage < 4 and id < :before order by id desc limit :limit;

-- name: still_not_begun
select id from actorflow.job where id in (select json_array_elements_text(:ids::json)::bigint) and queue = :queue and stage < 4 order by id
for update; -- none of them begins meanwhile

-- name: purge_dependants
select distinct need.job from actorflow.need as need join actorflow.job as job on job.id = need.job
where need.needs in (select json_array_elements_text(:ids::json)::bigint) and job.stage = 2 and job.id not in (select json_array_elements_text(:ids::json)::bigint) limit :limit;

-- name: purge
delete from actorflow.job where id in (select json_array_elements_text(:ids::json)::bigint) and stage < 4 returning id, key, stage, "unique", tags;

-- name: purge_needed
delete from actorflow.need where needs in (select json_array_elements_text(:ids::json)::bigint);

-- name: purge_needs
delete from actorflow.need where job in (select json_array_elements_text(:ids::json)::bigint);

-- name: revive
update actorflow.job set
    stage = 3, status = 'queued', attempt = 0, crashes = 0, error = null, ended = null, keep_until = null, due = null,
    expires = null, cancelling = 0, progress = null
where id = :id and status in ('dead', 'failed', 'cancelled') returning queue, key, needs;

-- name: unique_of
select other.id from actorflow.job as job join actorflow.job as other on other.queue = job.queue and other."unique" = job."unique"
where job.id = :id and job."unique" is not null and other.stage < 5 and other.cancelling < 2;

-- name: key
select slots, ready, tokens, filled, free_at from actorflow.key where queue = :queue and key = :key;

-- name: set_key
insert into actorflow.key (queue, key, slots, ready, tokens, filled, free_at)
values (:queue, :key, :slots, :ready, :tokens, :filled, :free_at)
on conflict (queue, key) do update set
    slots = excluded.slots, ready = excluded.ready, tokens = excluded.tokens, filled = excluded.filled,
    free_at = excluded.free_at;

-- name: drop_key
delete from actorflow.key where queue = :queue and key = :key;

-- name: keys_after
select queue, key from actorflow.key where (queue, key) > (:queue, :key) order by queue, key limit :limit;

-- name: prune_keys
delete from actorflow.key where (queue, key) in (
    select one.queue, one.key from actorflow.key as one join actorflow.queue as limits on limits.name = one.queue
    where (one.queue, one.key) > (:queue, :key) and (one.queue, one.key) <= (:last_queue, :last_key)
    and one.slots = 0 and one.ready = 0 and one.free_at is null
    and (limits.key_rate is null or one.filled + (limits.key_burst - one.tokens) / limits.key_rate <= :now)
    for update of one skip locked
);

-- name: free_keys
select key from actorflow.key where queue = :queue and free_at is not null and free_at <= :now order by free_at limit :limit;

-- name: set_back
update actorflow.key set free_at = :now where queue = :queue and free_at is not null and filled > :now;

-- name: next_behind
select id, priority from actorflow.job where queue = :queue and key = :key and stage = 3 order by priority, id limit 1;

-- name: last_ahead
select id, priority from actorflow.job where queue = :queue and key = :key and stage = 0 order by priority desc, id desc limit 1;

-- name: keys_behind
select distinct key from actorflow.job where queue = :queue and stage = 3 and key is not null;

-- name: all_behind
update actorflow.job set stage = 3 where queue = :queue and stage = 0 and key is not null;

-- name: all_ahead
update actorflow.job set stage = 0 where queue = :queue and stage = 3;

-- name: drop_keys
delete from actorflow.key where queue = :queue;

-- name: count_keys
insert into actorflow.key (queue, key, slots, tokens, filled)
select queue, key, count(*), :tokens::double precision, :now::double precision from actorflow.job
where queue = :queue and stage = 4 and key is not null group by queue, key;

-- name: forget_needs
delete from actorflow.need where job = :job;

-- name: set_needs
update actorflow.job set needs = :needs where id = :id;

-- name: beat
update actorflow.job set lease = :lease where owner = :owner and stage = 4;

-- name: counts
select completed, failed, cancelled, retried, dead, paused from actorflow.queue where name = :name;

-- name: add
insert into actorflow.run (
    name, workflow, version, hash, parent, parent_step, on_close, state, status, priority, key, deadline, owner, epoch,
    input, created, started, turn, seed, slot, wake, cause
) values (
    :name, :workflow, :version, :hash, :parent, :parent_step, :on_close, :state, :status, :priority, :key, :deadline,
    :owner, :epoch, :input, :created, :started, :turn, :seed, :slot, :wake, :cause
) on conflict (name) do nothing returning id;

-- name: get
select
    id, name, workflow, version, hash, parent, parent_step, state, status, priority, key, deadline, owner, epoch, input,
    output, error, reason, created, started, ended, on_close, turn, seed, slot, cause
from actorflow.run where name = :name;

-- name: ready
select workflow from json_array_elements_text(:workflows::json) as known (workflow)
where exists (select 1 from actorflow.run as run where run.state = 0 and run.workflow = known.workflow);

-- name: claim
with next as materialized (
    select id from actorflow.run where state = 0 and workflow = :workflow order by priority, id limit :limit
    for update skip locked
)
update actorflow.run as run set
    state = 2, status = case when status = 'compensating' then status else 'running' end, owner = :owner, epoch = epoch + 1, started = coalesce(started, :now), wake = null
from next where run.id = next.id
returning run.id, name, workflow, version, hash, parent, parent_step, priority, key, deadline, epoch, input, created, started, turn, seed,
    case when slotted = 1 then slot end, cause;

-- name: wake_due
with next as materialized (
    select id from actorflow.run where state in (1, -1) and wake is not null and wake <= :now order by wake limit :limit
    for update skip locked
)
update actorflow.run as run set state = 0, wake = null from next where run.id = next.id;

-- name: newest
select created from actorflow.run order by id desc limit 1;

-- name: set_back
update actorflow.run set wake = wake - :by where state = 1 and wake is not null and wake > :now;

-- name: next_wake
select min(wake) from actorflow.run where state in (1, -1) and wake is not null;

-- name: hear
update actorflow.run set state = 0, wake = null where name = :name and state = 1;

-- name: owned
select 1 from actorflow.run where owner = :owner limit 1;

-- name: of_owner
select id, name, workflow, version, hash, parent, parent_step, priority, key, deadline, epoch, input, created, started,
    turn, seed, case when slotted = 1 then slot end, cause
from actorflow.run where owner = :owner order by id;

-- name: is_owned
select 1 from actorflow.run where id = :id and owner = :owner and epoch = :epoch for key share;

-- name: children
select name from actorflow.run where parent = :parent and state in (-1, 0, 1, 2, 3) and on_close = 'cancel';

-- name: take_over
with mine as materialized (select id from actorflow.run where owner = :owner order by id for update) -- after records in flight
update actorflow.run as run set owner = null, epoch = epoch + 1, state = case when state = 2 then 0 else state end
from mine where run.id = mine.id returning name, workflow;

-- name: lock
select status from actorflow.run where name = :name and state < 5 for no key update; -- records go on meanwhile

-- name: lock_open
select 1 from actorflow.run where name = :name and state < 4 for no key update;

-- name: has_mail
select 1 from actorflow.mail where receiver = :receiver and id > :upto limit 1;

-- name: let_go
update actorflow.run set state = :state, status = :status, owner = null, wake = :wake, reason = :reason,
    misfits = case
        when :misfit::text is null or strpos(coalesce(misfits, ''), :misfit) > 0 then misfits else right(coalesce(misfits, '') || :misfit, 1152)
    end
where id = :id and owner = :owner and epoch = :epoch;

-- name: end
update actorflow.run set
    state = 4, status = :status, owner = null, wake = null, slotted = 0, output = :output, error = :error, ended = :now,
    keep_until = :keep
where id = :id and owner = :owner and epoch = :epoch;

-- name: ended_children
select id, name, status, parent_step from actorflow.run where parent = :parent and state = 4;

-- name: drop_record
delete from actorflow.record where run = :run and n = :n;

-- name: retry
update actorflow.run set
    state = 0, status = 'queued', owner = null, epoch = epoch + 1, output = null, error = null, reason = null,
    misfits = null, deadline = null, ended = null, keep_until = null
where id = :id returning id, workflow, slot, slotted;

-- name: renew
update actorflow.run set
    state = 0, owner = null, epoch = epoch + 1, input = :input, turn = turn + 1, started = null, wake = null
where id = :id and owner = :owner and epoch = :epoch;

-- name: turn
update actorflow.run set status = 'compensating' where id = :id and owner = :owner and epoch = :epoch;

-- name: drop_journal
delete from actorflow.record where run = :run;

-- name: end_unbegun
update actorflow.run set
    state = 4, status = 'cancelled', wake = null, error = :error, ended = :now, keep_until = :keep
where name = :name and ((state in (-1, 0, 3) and started is null) or (state = 3 and status = 'parked'))
returning id, workflow, slot, slotted;

-- name: drop_slot
update actorflow.run set slotted = 0 where id = :id;

-- name: outcome
select status, output, error, workflow from actorflow.run where name = :name and state < 5;

-- name: list
select name, workflow, status, parent, created, started, ended, reason from actorflow.run
where (:workflow::text is null or workflow = :workflow) and (:status::text is null or status = :status) and id < :before and state < 5
    and (:sagas::boolean is null or substring(input from 1 for 8) = '\x7b2273616761223a'::bytea)
order by id desc limit :limit;

-- name: count
select status, count(*) from actorflow.run
where (:workflow::text is null or workflow = :workflow) and (:status::text is null or status = :status) and state < 5
    and (:sagas::boolean is null or substring(input from 1 for 8) = '\x7b2273616761223a'::bytea)
group by status order by status;

-- name: add_record
insert into actorflow.record (run, n, branch, name, occurrence, start, kind, hash, value, error, attempt, began, at)
select :run, :n, :branch, :name, :occurrence, :start, :kind, :hash::bytea, :value::bytea, :error::bytea, :attempt,
    :began::double precision, :at
from actorflow.run where id = :run and owner = :owner and epoch = :epoch for key share; -- so no take-over comes between

-- name: put_record
insert into actorflow.record (run, n, branch, name, occurrence, start, kind, hash, value, error, attempt, began, at)
values (:run, :n, :branch, :name, :occurrence, :start, :kind, :hash::bytea, :value::bytea, :error::bytea, :attempt, :began, :at);

-- name: records
select n, branch, name, occurrence, start, kind, hash, value, error, attempt, began, at from actorflow.record
where run = :run order by n;

-- name: has_record
select 1 from actorflow.record where run = :run and n = :n;

-- name: drop_mail
delete from actorflow.mail where receiver = :receiver;

-- name: expired
select id, state from actorflow.run where keep_until is not null and keep_until <= :now order by keep_until limit :limit;

-- name: drop_records
delete from actorflow.record where run = :run and n in (select n from actorflow.record where run = :run limit :limit);

-- name: input
select input from actorflow.run where id = :id;

-- name: remove
update actorflow.run set state = 5, input = :input, output = null, error = null, reason = null, keep_until = :keep where id = :id;

-- name: unpark
update actorflow.run set state = 0, status = 'queued', reason = null where name = :name and state = 3
returning id, workflow, slot, slotted;

-- name: misfits
with recursive kinds (misfits) as (
    select min(misfits) from actorflow.run where workflow = :workflow and state = 3 and misfits is not null
    union all
    select (
        select min(run.misfits) from actorflow.run as run
        where run.workflow = :workflow and run.state = 3 and run.misfits is not null and run.misfits > kinds.misfits
    ) from kinds where kinds.misfits is not null
)
select misfits from kinds where misfits is not null and strpos(misfits, :misfit) = 0;

-- name: unpark_fitting
update actorflow.run set state = 0, status = 'queued', reason = null
where id in (
    select id from actorflow.run where workflow = :workflow and state = 3 and misfits = :misfits and status = 'parked' limit :limit
    for update skip locked
);

-- name: pause
update actorflow.run set state = 3, status = 'paused', wake = null where name = :name and state in (-1, 0, 1, 3);

-- name: unpause
update actorflow.run set state = 0, status = 'queued', reason = null where name = :name and state = 3 and status = 'paused'
returning id, workflow, slot, slotted;

-- name: drop_pauses
delete from actorflow.mail where receiver = :receiver and body = :body;

-- name: drop
delete from actorflow.run where id = :id;

-- name: set_stage
update actorflow.run set state = :stage, slotted = case when :stage = 0 then 1 else 0 end where id = :id;

-- name: next_behind
select id, priority from actorflow.run where workflow = :queue and slot = :key and state = -1
order by priority, id limit 1 for update;

-- name: last_ahead
select id, priority from actorflow.run where workflow = :queue and slot = :key and state = 0 and slotted = 1 and epoch = 0
order by priority desc, id desc limit 1 for update;

-- name: keys_behind
select distinct slot from actorflow.run where workflow = :workflow and state = -1;

-- name: set_slot
update actorflow.run set slot = :slot, state = -1 where id = :id;

-- name: next_free
select min(case when filled > :now then :now else free_at end) from actorflow.key
where queue in (select json_array_elements_text(:places::json)) and free_at is not null;

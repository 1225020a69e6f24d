-- name: add
insert into af_run (
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
from af_run where name = :name;

-- name: ready
select value from json_each(:workflows) as known
where exists (select 1 from af_run where state = 0 and workflow = known.value);

-- name: claim
update af_run set
    state = 2, status = case when status = 'compensating' then status else 'running' end, owner = :owner, epoch = epoch + 1, started = coalesce(started, :now), wake = null
where id in (select id from af_run where state = 0 and workflow = :workflow order by priority, id limit :limit)
returning id, name, workflow, version, hash, parent, parent_step, priority, key, deadline, epoch, input, created, started, turn, seed,
    case when slotted = 1 then slot end, cause;

-- name: wake_due
update af_run set state = 0, wake = null
where id in (select id from af_run where state in (1, -1) and wake is not null and wake <= :now order by wake limit :limit);

-- name: newest
select created from af_run order by id desc limit 1;

-- name: set_back
update af_run set wake = wake - :by where state = 1 and wake is not null and wake > :now;

-- name: next_wake
select min(wake) from af_run where state in (1, -1) and wake is not null;

-- name: hear
update af_run set state = 0, wake = null where name = :name and state = 1;

-- name: owned
select 1 from af_run where owner = :owner limit 1;

-- name: of_owner
select id, name, workflow, version, hash, parent, parent_step, priority, key, deadline, epoch, input, created, started,
    turn, seed, case when slotted = 1 then slot end, cause
from af_run where owner = :owner order by id;

-- name: is_owned
select 1 from af_run where id = :id and owner = :owner and epoch = :epoch;

-- name: children
select name from af_run where parent = :parent and state in (-1, 0, 1, 2, 3) and on_close = 'cancel';

-- name: take_over
update af_run set owner = null, epoch = epoch + 1, state = case when state = 2 then 0 else state end
where owner = :owner returning name, workflow;

-- name: lock
select status from af_run where name = :name and state < 5;

-- name: lock_open
select 1 from af_run where name = :name and state < 4;

-- name: has_mail
select 1 from af_mail where receiver = :receiver and id > :upto limit 1;

-- name: let_go
update af_run set state = :state, status = :status, owner = null, wake = :wake, reason = :reason,
    misfits = case
        when :misfit is null or instr(coalesce(misfits, ''), :misfit) > 0 then misfits else substr(coalesce(misfits, '') || :misfit, -1152)
    end
where id = :id and owner = :owner and epoch = :epoch;

-- name: end
update af_run set
    state = 4, status = :status, owner = null, wake = null, slotted = 0, output = :output, error = :error, ended = :now,
    keep_until = :keep
where id = :id and owner = :owner and epoch = :epoch;

-- name: ended_children
select id, name, status, parent_step from af_run where parent = :parent and state = 4;

-- name: drop_record
delete from af_record where run = :run and n = :n;

-- name: retry
update af_run set
    state = 0, status = 'queued', owner = null, epoch = epoch + 1, output = null, error = null, reason = null,
    misfits = null, deadline = null, ended = null, keep_until = null
where id = :id returning id, workflow, slot, slotted;

-- name: renew
update af_run set
    state = 0, owner = null, epoch = epoch + 1, input = :input, turn = turn + 1, started = null, wake = null
where id = :id and owner = :owner and epoch = :epoch;

-- name: turn
update af_run set status = 'compensating' where id = :id and owner = :owner and epoch = :epoch;

-- name: drop_journal
delete from af_record where run = :run;

-- name: end_unbegun
update af_run set
    state = 4, status = 'cancelled', wake = null, error = :error, ended = :now, keep_until = :keep
where name = :name and ((state in (-1, 0, 3) and started is null) or (state = 3 and status = 'parked'))
returning id, workflow, slot, slotted;

-- name: drop_slot
update af_run set slotted = 0 where id = :id;

-- name: outcome
select status, output, error, workflow from af_run where name = :name and state < 5;

-- name: list
select name, workflow, status, parent, created, started, ended, reason from af_run
where (:workflow is null or workflow = :workflow) and (:status is null or status = :status) and id < :before and state < 5
    and (:sagas is null or substr(input, 1, 8) = x'7b2273616761223a')
order by id desc limit :limit;

-- name: count
select status, count(*) from af_run
where (:workflow is null or workflow = :workflow) and (:status is null or status = :status) and state < 5
    and (:sagas is null or substr(input, 1, 8) = x'7b2273616761223a')
group by status order by status;

-- name: add_record
insert into af_record (run, n, branch, name, occurrence, start, kind, hash, value, error, attempt, began, at)
select :run, :n, :branch, :name, :occurrence, :start, :kind, :hash, :value, :error, :attempt, :began, :at
from af_run where id = :run and owner = :owner and epoch = :epoch;

-- name: put_record
insert into af_record (run, n, branch, name, occurrence, start, kind, hash, value, error, attempt, began, at)
values (:run, :n, :branch, :name, :occurrence, :start, :kind, :hash, :value, :error, :attempt, :began, :at);

-- name: records
select n, branch, name, occurrence, start, kind, hash, value, error, attempt, began, at from af_record
where run = :run order by n;

-- name: has_record
select 1 from af_record where run = :run and n = :n;

-- name: drop_mail
delete from af_mail where receiver = :receiver;

-- name: expired
select id, state from af_run where keep_until is not null and keep_until <= :now order by keep_until limit :limit;

-- name: drop_records
delete from af_record where run = :run and n in (select n from af_record where run = :run limit :limit);

-- name: input
select input from af_run where id = :id;

-- name: remove
update af_run set state = 5, input = :input, output = null, error = null, reason = null, keep_until = :keep where id = :id;

-- name: unpark
update af_run set state = 0, status = 'queued', reason = null where name = :name and state = 3
returning id, workflow, slot, slotted;

-- name: misfits
with recursive kinds (misfits) as (
    select min(misfits) from af_run where workflow = :workflow and state = 3 and misfits is not null
    union all
    select (
        select min(run.misfits) from af_run as run
        where run.workflow = :workflow and run.state = 3 and run.misfits is not null and run.misfits > kinds.misfits
    ) from kinds where kinds.misfits is not null
)
select misfits from kinds where misfits is not null and instr(misfits, :misfit) = 0;

-- name: unpark_fitting
update af_run set state = 0, status = 'queued', reason = null
where id in (
    select id from af_run where workflow = :workflow and state = 3 and misfits = :misfits and status = 'parked' limit :limit
);

-- name: pause
update af_run set state = 3, status = 'paused', wake = null where name = :name and state in (-1, 0, 1, 3);

-- name: unpause
update af_run set state = 0, status = 'queued', reason = null where name = :name and state = 3 and status = 'paused'
returning id, workflow, slot, slotted;

-- name: drop_pauses
delete from af_mail where receiver = :receiver and body = :body;

-- name: drop
delete from af_run where id = :id;

-- name: set_stage
update af_run set state = :stage, slotted = case when :stage = 0 then 1 else 0 end where id = :id;

-- name: next_behind
select id, priority from af_run where workflow = :queue and slot = :key and state = -1
order by priority, id limit 1;

-- name: last_ahead
select id, priority from af_run where workflow = :queue and slot = :key and state = 0 and slotted = 1 and epoch = 0
order by priority desc, id desc limit 1;

-- name: keys_behind
select distinct slot from af_run where workflow = :workflow and state = -1;

-- name: set_slot
update af_run set slot = :slot, state = -1 where id = :id;

-- name: next_free
select min(case when filled > :now then :now else free_at end) from af_key
where queue in (select value from json_each(:places)) and free_at is not null;

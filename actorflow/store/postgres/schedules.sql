-- name: get
select name, cron, zone, next, last, declared from actorflow.schedule where queue = :queue and name = :name;

-- name: list
select name, cron, zone, next, last, declared from actorflow.schedule where queue = :queue;

-- name: declare
insert into actorflow.schedule (queue, name, cron, zone, catch_up, next, declared)
values (:queue, :name, :cron, :zone, :catch_up, :next, :now)
on conflict (queue, name) do update set
    cron = excluded.cron, zone = excluded.zone, catch_up = excluded.catch_up, next = excluded.next,
    declared = excluded.declared, stopped = 0,
    last = case when schedule.last <= excluded.declared then schedule.last end; -- no time of a clock that was ahead

-- name: fire
update actorflow.schedule set next = :next, last = coalesce(cast(:last as double precision), last), declared = :now, stopped = 0
where queue = :queue and name = :name and cron = :cron and zone = :zone and next = :due;

-- name: beat
update actorflow.schedule set declared = :now, stopped = 0 where queue = :queue and name in (select json_array_elements_text(:names::json));

-- name: stop
update actorflow.schedule set stopped = 1 where queue = :queue and declared < :before and stopped = 0 returning name;

-- name: stale
select name from actorflow.schedule where queue = :queue and declared < :before and stopped = 0 limit 1;

-- name: prune
delete from actorflow.schedule where queue = :queue and declared < :before;

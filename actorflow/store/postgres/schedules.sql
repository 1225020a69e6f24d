-- name: get
select cron, zone, catch_up, next, last, stopped from actorflow.schedule where queue = :queue and name = :name;

-- name: declare
insert into actorflow.schedule (queue, name, cron, zone, catch_up, next, declared)
values (:queue, :name, :cron, :zone, :catch_up, :next, :now)
on conflict (queue, name) do update set
    cron = excluded.cron, zone = excluded.zone, catch_up = excluded.catch_up, next = excluded.next,
    declared = excluded.declared, stopped = 0;

-- name: fire
update actorflow.schedule set next = :next, last = :last, declared = :now
where queue = :queue and name = :name and next = :due;

-- name: beat
update actorflow.schedule set declared = :now where queue = :queue and name = :name;

-- name: stop
update actorflow.schedule set stopped = 1 where queue = :queue and declared < :before and stopped = 0 returning name;

-- name: stale
select name from actorflow.schedule where queue = :queue and declared < :before and stopped = 0 limit 1;

-- name: prune
delete from actorflow.schedule where queue = :queue and declared < :before;

-- name: get
select name, owner, epoch, state, next from actorflow.actor where name = :name;

-- name: lock
select name, owner, epoch, state, next from actorflow.actor where name = :name for update;

-- name: add
insert into actorflow.actor (name) values (:name) on conflict (name) do nothing;

-- name: take
update actorflow.actor set owner = :owner, epoch = epoch + 1, capacity = :capacity, overflow = :overflow
where name = :name returning epoch;

-- name: save
update actorflow.actor set state = :state, next = :next where name = :name and owner = :owner and epoch = :epoch;

-- name: release
update actorflow.actor set owner = null where name = :name and owner = :owner and epoch = :epoch;

-- name: release_all
update actorflow.actor set owner = null where owner = :owner;

-- name: releases
select value from actorflow.meta where key = 'releases';

-- name: count_release
insert into actorflow.meta (key, value) values ('releases', 1)
on conflict (key) do update set value = meta.value + 1;

-- name: bounds
select name, capacity, overflow from actorflow.actor where name in (select json_array_elements_text(:names::json)) and capacity is not null;

-- name: place
select capacity, owner from actorflow.actor where name = :name;

-- name: owners
select name, owner from actorflow.actor where name in (select json_array_elements_text(:names::json));

-- name: put
with turn as (select pg_advisory_xact_lock(hashtextextended(:receiver, 1))) -- so that numbers are committed in their order
insert into actorflow.mail (receiver, sender, asker, body) select :receiver, :sender::bytea, :asker, :body::bytea from turn;

-- name: put_one
with turn as (select pg_advisory_xact_lock(hashtextextended(:receiver, 1))) -- so that numbers are committed in their order
insert into actorflow.mail (receiver, sender, asker, body) select :receiver, :sender::bytea, :asker, :body::bytea from turn returning id;

-- name: last_id
select lastval();

-- name: count
select count(*) from (select 1 from actorflow.mail where receiver = :receiver and stage = 0 limit :limit) as waiting;

-- name: fetch
select id, sender, asker, attempt, crashes, body from actorflow.mail
where receiver = :receiver and id > :after and stage = 0 order by id limit :limit;

-- name: newest
select max(id) from actorflow.mail;

-- name: newest_of
select max(id) from actorflow.mail where receiver = :receiver;

-- name: news
select receiver, max(id) from actorflow.mail where id > :seen group by receiver;

-- name: done
delete from actorflow.mail where id = :id;

-- name: done_all
delete from actorflow.mail where id in (select json_array_elements_text(:ids::json)::bigint);

-- name: promise
update actorflow.mail set stage = 1, started = 0 where id = :id and stage = 0;

-- name: promised
delete from actorflow.mail where id = :id and stage = 1 returning asker, body;

-- name: unstart
update actorflow.mail set started = 0 where id = :id and started = 1;

-- name: exists
select 1 from actorflow.mail where id = :id;

-- name: again
update actorflow.mail set attempt = :attempt, error = :error, started = 0 where id = :id;

-- name: error_of
select error from actorflow.mail where id = :id;

-- name: start
update actorflow.mail set started = 1 where id = :id;

-- name: blame
update actorflow.mail set crashes = crashes + 1, started = 0 where id = :id;

-- name: suspect
update actorflow.mail set crashes = crashes + 1, started = 0
where id = (select id from actorflow.mail where receiver = :receiver and id >= :next and stage = 0 order by id limit 1)
    and (crashes = 0 or started = 1);

-- name: suspect_started
update actorflow.mail set crashes = crashes + 1, started = 0
where receiver = :receiver and started = 1
    and id <> coalesce((select id from actorflow.mail where receiver = :receiver and id >= :next and stage = 0 order by id limit 1), 0);

-- name: put_answer
insert into actorflow.answer (id, asker, value, error, keep_until) values (:id, :asker, :value, :error, :keep)
on conflict (id) do nothing;

-- name: answers
delete from actorflow.answer where asker = :asker returning id, value, error;

-- name: has_answers
select 1 from actorflow.answer where asker = :asker limit 1;

-- name: unask
update actorflow.mail set asker = null where id in (select json_array_elements_text(:ids::json)::bigint) and asker = :asker;

-- name: drop_answers
delete from actorflow.answer where id in (select json_array_elements_text(:ids::json)::bigint) and asker = :asker;

-- name: add_timer
insert into actorflow.actor_timer (actor, due, period, body) values (:actor, :due, :period, :body) returning id;

-- name: timers
select id, due, period, attempt, body, crashes from actorflow.actor_timer where actor = :actor order by due, id;

-- name: move_timer
update actorflow.actor_timer set due = :due, attempt = 0, crashes = 0, started = 0 where id = :id;

-- name: timer_again
update actorflow.actor_timer set attempt = :attempt, started = 0 where id = :id;

-- name: start_timer
update actorflow.actor_timer set started = 1 where id = :id;

-- name: suspect_timers
update actorflow.actor_timer set crashes = crashes + 1, started = 0
where actor = :actor and (started = 1 or (crashes = 0 and due <= :now));

-- name: blame_fired
update actorflow.actor_timer set crashes = crashes + 1, started = 0 where id = :id;

-- name: blame_timer
update actorflow.actor_timer set crashes = :crashes where id = :id;

-- name: drop_timer
delete from actorflow.actor_timer where id = :id;

-- name: mark
with turn as (select pg_advisory_xact_lock(hashtextextended(:receiver, 1))) -- as `put`, which follows: in this order for all
insert into actorflow.mark (receiver, id, at) select :receiver, :id, :at::double precision from turn on conflict (receiver, id) do nothing;

-- name: is_marked
select 1 from actorflow.mark where receiver = :receiver and id = :id;

-- name: add_dead
insert into actorflow.dead_mail (receiver, sender, body, error, attempt, crashes, at, keep_until)
values (:receiver, :sender, :body, :error, :attempt, :crashes, :at, :keep);

-- name: dead_all
select id, receiver, sender, substring(body from 1 for 1000), error, attempt, crashes, at from actorflow.dead_mail
where id < :before order by id desc limit :limit;

-- name: dead_of
select id, receiver, sender, substring(body from 1 for 1000), error, attempt, crashes, at from actorflow.dead_mail
where receiver = :receiver and id < :before order by id desc limit :limit;

-- name: dead_count
select count(*) from actorflow.dead_mail where (:receiver::text is null or receiver = :receiver);

-- name: dead_newest
select max(id) from actorflow.dead_mail;

-- name: dead_ids
select id from actorflow.dead_mail where id > :after and id <= :upto and (:receiver::text is null or receiver = :receiver) order by id limit :limit;

-- name: take_dead
delete from actorflow.dead_mail where id in (select json_array_elements_text(:ids::json)::bigint) returning id, receiver, sender, body;

-- name: stored
select found.name, node.id, octet_length(actor.state),
    (select count(*) from actorflow.mail where receiver = found.name),
    (select count(*) from actorflow.actor_timer as timer where timer.actor = found.name)
from (select name from actorflow.actor where name > :after union select receiver from actorflow.mail where receiver > :after) as found
    left join actorflow.actor as actor on actor.name = found.name
    left join actorflow.node as node on node.id = actor.owner and node.id not in (select json_array_elements_text(:dead::json))
where :alone = 0 or node.id is null
order by found.name limit :limit;

-- name: mail
select id, receiver, stage, sender, substring(body from 1 for 1000), attempt, crashes from actorflow.mail
where (:receiver::text is null or receiver = :receiver) and id < :before order by id desc limit :limit;

-- name: take_mail
delete from actorflow.mail where id in (select json_array_elements_text(:ids::json)::bigint) returning id, asker;

-- name: delete_actor
delete from actorflow.actor where name = :name;

-- name: delete_timers
delete from actorflow.actor_timer where actor = :name;

-- name: delete_marks
delete from actorflow.mark where receiver = :name;

-- name: prune_marks
delete from actorflow.mark where (receiver, id) in (select receiver, id from actorflow.mark where at <= :before limit :limit);

-- name: prune_answers
delete from actorflow.answer where id in (select id from actorflow.answer where keep_until <= :now limit :limit);

-- name: prune_dead
delete from actorflow.dead_mail where id in (select id from actorflow.dead_mail where keep_until <= :now limit :limit);

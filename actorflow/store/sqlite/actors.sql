-- name: get
select name, owner, epoch, state, next from af_actor where name = :name;

-- name: lock
select name, owner, epoch, state, next from af_actor where name = :name;

-- name: add
insert into af_actor (name) values (:name) on conflict (name) do nothing;

-- name: take
update af_actor set owner = :owner, epoch = epoch + 1, capacity = :capacity, overflow = :overflow
where name = :name returning epoch;

-- name: save
update af_actor set state = :state, next = :next where name = :name and owner = :owner and epoch = :epoch;

-- name: release
update af_actor set owner = null where name = :name and owner = :owner and epoch = :epoch;

-- name: release_all
update af_actor set owner = null where owner = :owner;

-- name: releases
select value from af_meta where key = 'releases';

-- name: count_release
insert into af_meta (key, value) values ('releases', 1)
on conflict (key) do update set value = af_meta.value + 1;

-- name: bounds
select name, capacity, overflow from af_actor where name in (select value from json_each(:names)) and capacity is not null;

-- name: place
select capacity, owner from af_actor where name = :name;

-- name: owners
select name, owner from af_actor where name in (select value from json_each(:names));

-- name: put
insert into af_mail (receiver, sender, asker, body) values (:receiver, :sender, :asker, :body);

-- name: put_one
insert into af_mail (receiver, sender, asker, body) values (:receiver, :sender, :asker, :body) returning id;

-- name: last_id
select last_insert_rowid();

-- name: count
select count(*) from (select 1 from af_mail where receiver = :receiver and stage = 0 limit :limit) as waiting;

-- name: fetch
select id, sender, asker, attempt, crashes, body from af_mail
where receiver = :receiver and id > :after and stage = 0 order by id limit :limit;

-- name: newest
select max(id) from af_mail;

-- name: newest_of
select max(id) from af_mail where receiver = :receiver;

-- name: news
select receiver, max(id) from af_mail where id > :seen group by receiver;

-- name: done
delete from af_mail where id = :id;

-- name: done_all
delete from af_mail where id in (select value from json_each(:ids));

-- name: promise
update af_mail set stage = 1, started = 0 where id = :id and stage = 0;

-- name: promised
delete from af_mail where id = :id and stage = 1 returning asker, body;

-- name: unstart
update af_mail set started = 0 where id = :id and started = 1;

-- name: exists
select 1 from af_mail where id = :id;

-- name: again
update af_mail set attempt = :attempt, error = :error, started = 0 where id = :id;

-- name: error_of
select error from af_mail where id = :id;

-- name: start
update af_mail set started = 1 where id = :id;

-- name: blame
update af_mail set crashes = crashes + 1, started = 0 where id = :id;

-- name: suspect
update af_mail set crashes = crashes + 1, started = 0
where id = (select id from af_mail where receiver = :receiver and id >= :next and stage = 0 order by id limit 1)
    and (crashes = 0 or started = 1);

-- name: suspect_started
update af_mail set crashes = crashes + 1, started = 0
where receiver = :receiver and started = 1
    and id <> coalesce((select id from af_mail where receiver = :receiver and id >= :next and stage = 0 order by id limit 1), 0);

-- name: put_answer
insert into af_answer (id, asker, value, error, keep_until) values (:id, :asker, :value, :error, :keep)
on conflict (id) do nothing;

-- name: answers
delete from af_answer where asker = :asker returning id, value, error;

-- name: has_answers
select 1 from af_answer where asker = :asker limit 1;

-- name: unask
update af_mail set asker = null where id in (select value from json_each(:ids)) and asker = :asker;

-- name: drop_answers
delete from af_answer where id in (select value from json_each(:ids)) and asker = :asker;

-- name: add_timer
insert into af_actor_timer (actor, due, period, body) values (:actor, :due, :period, :body) returning id;

-- name: timers
select id, due, period, attempt, body, crashes from af_actor_timer where actor = :actor order by due, id;

-- name: move_timer
update af_actor_timer set due = :due, attempt = 0, crashes = 0, started = 0 where id = :id;

-- name: timer_again
update af_actor_timer set attempt = :attempt, started = 0 where id = :id;

-- name: start_timer
update af_actor_timer set started = 1 where id = :id;

-- name: suspect_timers
update af_actor_timer set crashes = crashes + 1, started = 0
where actor = :actor and (started = 1 or (crashes = 0 and due <= :now));

-- name: blame_fired
update af_actor_timer set crashes = crashes + 1, started = 0 where id = :id;

-- name: blame_timer
update af_actor_timer set crashes = :crashes where id = :id;

-- name: drop_timer
delete from af_actor_timer where id = :id;

-- name: mark
insert into af_mark (receiver, id, at) values (:receiver, :id, :at) on conflict (receiver, id) do nothing;

-- name: is_marked
select 1 from af_mark where receiver = :receiver and id = :id;

-- name: add_dead
insert into af_dead_mail (receiver, sender, body, error, attempt, crashes, at, keep_until)
values (:receiver, :sender, :body, :error, :attempt, :crashes, :at, :keep);

-- name: dead_all
select id, receiver, sender, substr(body, 1, 1000), error, attempt, crashes, at from af_dead_mail
where id < :before order by id desc limit :limit;

-- name: dead_of
select id, receiver, sender, substr(body, 1, 1000), error, attempt, crashes, at from af_dead_mail
where receiver = :receiver and id < :before order by id desc limit :limit;

-- name: dead_count
select count(*) from af_dead_mail where (:receiver is null or receiver = :receiver);

-- name: dead_newest
select max(id) from af_dead_mail;

-- name: dead_ids
select id from af_dead_mail where id > :after and id <= :upto and (:receiver is null or receiver = :receiver) order by id limit :limit;

-- name: take_dead
delete from af_dead_mail where id in (select value from json_each(:ids)) returning id, receiver, sender, body;

-- name: stored
select found.name, node.id, length(actor.state),
    (select count(*) from af_mail where receiver = found.name),
    (select count(*) from af_actor_timer as timer where timer.actor = found.name)
from (select name from af_actor where name > :after union select receiver from af_mail where receiver > :after) as found
    left join af_actor as actor on actor.name = found.name
    left join af_node as node on node.id = actor.owner and node.id not in (select value from json_each(:dead))
where :alone = 0 or node.id is null
order by found.name limit :limit;

-- name: mail
select id, receiver, stage, sender, substr(body, 1, 1000), attempt, crashes from af_mail
where (:receiver is null or receiver = :receiver) and id < :before order by id desc limit :limit;

-- name: take_mail
delete from af_mail where id in (select value from json_each(:ids)) returning id, asker;

-- name: delete_actor
delete from af_actor where name = :name;

-- name: delete_timers
delete from af_actor_timer where actor = :name;

-- name: delete_marks
delete from af_mark where receiver = :name;

-- name: prune_marks
delete from af_mark where (receiver, id) in (select receiver, id from af_mark where at <= :before limit :limit);

-- name: prune_answers
delete from af_answer where id in (select id from af_answer where keep_until <= :now limit :limit);

-- name: prune_dead
delete from af_dead_mail where id in (select id from af_dead_mail where keep_until <= :now limit :limit);

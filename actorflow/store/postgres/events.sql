-- name: partitions
select value from actorflow.meta where key = 'partitions';

-- name: fix_partitions
insert into actorflow.meta (key, value) values ('partitions', :partitions) on conflict (key) do nothing;

-- name: put
insert into actorflow.event (part, key, type, version, body, id, source, correlation, causation, at)
values (:part, :key, :type, :version, :body, :id, :source, :correlation, :causation, :at);

-- name: last_seq
select lastval();

-- name: newest
select max(seq) from actorflow.event;

-- name: oldest
select min(seq) from actorflow.event;

-- name: ends
select part, max(seq) from actorflow.event group by part;

-- name: ends_before
select part, max(seq) from actorflow.event where at < :at group by part;

-- name: fetch
select event.seq, event.part, key, type, version, body, id, source, correlation, causation, at
from json_each_text(:offsets::json) as place (part, after)
    cross join lateral (
        select * from actorflow.event where event.part = place.part::int and event.seq > place.after::bigint order by seq limit :limit
    ) as event
order by event.seq limit :limit;

-- name: list
select seq, part, key, type, version, body, id, source, correlation, causation, at from actorflow.event
where seq < :before and (:type::text is null or type = :type) and (:key::text is null or key = :key) order by seq desc limit :limit;

-- name: list_after
select seq, part, key, type, version, body, id, source, correlation, causation, at from actorflow.event
where seq > :after and (:correlation::text is null or correlation = :correlation) order by seq limit :limit;

-- name: trace
select seq, part, key, type, version, body, id, source, correlation, causation, at from actorflow.event
where correlation = :correlation order by seq limit :limit;

-- name: get
select seq, part, key, type, version, body, id, source, correlation, causation, at from actorflow.event where seq = :seq;

-- name: offsets
select log from actorflow.actor where name = :name;

-- name: begin
update actorflow.actor set log = :log where name = :name and owner = :owner and epoch = :epoch;

-- name: save
update actorflow.actor set state = :state, next = :next, log = :log where name = :name and owner = :owner and epoch = :epoch;

-- name: set_aside
insert into actorflow.event_aside
    (stage, consumer, lane, due, attempt, quiet, error, keep_until, seq, part, key, type, version, body, id, source, correlation, causation, at)
values
    (:stage, :consumer, :lane, :due, :attempt, :quiet, :error, :keep, :seq, :part, :key, :type, :version, :body, :id, :source, :correlation, :causation, :at)
returning number;

-- name: parked
select number, lane, due, attempt, late, quiet, error, seq, part, key, type, version, body, id, source, correlation, causation, at
from actorflow.event_aside where consumer = :consumer and stage = 0 order by number;

-- name: aloud
select seq from actorflow.event_aside where consumer = :consumer and stage = 2 order by number;

-- name: again
update actorflow.event_aside set attempt = :attempt, due = :due, error = :error where number = :number and stage = 0;

-- name: bury
update actorflow.event_aside set stage = 1, attempt = :attempt, due = null, error = :error, keep_until = :keep, late = 0
where number = :number and stage = 0;

-- name: unpark
delete from actorflow.event_aside where number = :number and stage = 0;

-- name: heard
delete from actorflow.event_aside where consumer = :consumer and stage = 2 and seq = :seq;

-- name: aside
select number, consumer, attempt, error, due, seq, part, key, type, version, body, id, source, correlation, causation, at
from actorflow.event_aside
where stage = :stage and (:actors::text is null or consumer in (select json_array_elements_text(:actors::json))) and number < :before
order by number desc limit :limit;

-- name: aside_count
select count(*) from actorflow.event_aside where stage = :stage and (:actors::text is null or consumer in (select json_array_elements_text(:actors::json)));

-- name: dead_numbers
select number from actorflow.event_aside
where stage = 1 and (:actors::text is null or consumer in (select json_array_elements_text(:actors::json))) and number > :after and number <= :upto
order by number limit :limit;

-- name: revive
update actorflow.event_aside set stage = 0, attempt = 0, due = :now, late = 1, keep_until = null
where stage = 1 and number in (select json_array_elements_text(:numbers::json)::bigint) returning consumer;

-- name: drop_dead
delete from actorflow.event_aside where stage = 1 and number in (select json_array_elements_text(:numbers::json)::bigint);

-- name: first_due
select min(due) from actorflow.event_aside where stage = 3;

-- name: take_due
delete from actorflow.event_aside where number in (select number from actorflow.event_aside where stage = 3 and due <= :now order by due, number limit :limit)
returning number, due, part, key, type, version, body, id, source, correlation, causation, at;

-- name: consumer
select name, path, service, members, types, paused from actorflow.consumer where name = :name;

-- name: consumers
select name, path, service, members, types, paused from actorflow.consumer order by name;

-- name: any_consumer
select 1 from actorflow.consumer limit 1;

-- name: add_consumer
insert into actorflow.consumer (name, path, service, members, types) values (:name, :path, :service, :members, :types)
on conflict (name) do nothing;

-- name: change_consumer
update actorflow.consumer set path = :path, service = :service, members = :members, types = :types where name = :name;

-- name: pause
update actorflow.consumer set paused = :paused where name = :name;

-- name: drop_consumer
delete from actorflow.consumer where name = :name;

-- name: join
insert into actorflow.consumer_node (consumer, node) values (:consumer, :node) on conflict (consumer, node) do nothing;

-- name: part
delete from actorflow.consumer_node where consumer = :consumer and node = :node;

-- name: leave
delete from actorflow.consumer_node where node = :node;

-- name: drop_orphans
delete from actorflow.consumer_node where consumer = :consumer and not exists (select 1 from actorflow.node where id = consumer_node.node);

-- name: nodes
select node from actorflow.consumer_node where consumer = :consumer and exists (select 1 from actorflow.node where id = consumer_node.node)
order by node;

-- name: members
select name, owner, epoch, state is not null, log from actorflow.actor where name in (select json_array_elements_text(:names::json));

-- name: reset
update actorflow.actor set owner = null, epoch = epoch + 1, state = null, log = :log where name = :name;

-- name: keep_aloud
update actorflow.event_aside set stage = 2, due = null, error = null, keep_until = null
where consumer = :consumer and stage in (0, 1) and quiet = 0 and exists (select 1 from actorflow.event as event where event.seq = event_aside.seq);

-- name: drop_aside
delete from actorflow.event_aside
where consumer = :consumer and (stage = 0 or stage = 1 and exists (select 1 from actorflow.event as event where event.seq = event_aside.seq));

-- name: drop_all_aside
delete from actorflow.event_aside where consumer = :consumer;

-- name: behind
select count(*) from actorflow.event where part = :part and seq > :after;

-- name: behind_all
select count(*) from actorflow.event where seq > :after and part in (select json_array_elements_text(:parts::json)::int);

-- name: prune
delete from actorflow.event where seq in
    (select seq from (select seq, at from actorflow.event where seq <= :upto order by seq limit :limit) as oldest where at < :before);

-- name: prune_dead
delete from actorflow.event_aside where number in (select number from actorflow.event_aside where keep_until <= :now limit :limit);

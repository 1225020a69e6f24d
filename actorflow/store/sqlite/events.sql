-- name: partitions
select value from af_meta where key = 'partitions';

-- name: fix_partitions
insert into af_meta (key, value) values ('partitions', :partitions) on conflict (key) do nothing;

-- name: put
insert into af_event (part, key, type, version, body, id, source, correlation, causation, at)
values (:part, :key, :type, :version, :body, :id, :source, :correlation, :causation, :at);

-- name: last_seq
select last_insert_rowid();

-- name: newest
select max(seq) from af_event;

-- name: oldest
select min(seq) from af_event;

-- name: ends
select part, max(seq) from af_event group by part;

-- name: ends_before
select part, max(seq) from af_event where at < :at group by part;

-- name: fetch
select seq, part, key, type, version, body, id, source, correlation, causation, at from af_event
where seq > :after and part in (select value from json_each(:parts)) order by seq limit :limit;

-- name: list
select seq, part, key, type, version, body, id, source, correlation, causation, at from af_event
where seq < :before and (:type is null or type = :type) and (:key is null or key = :key) order by seq desc limit :limit;

-- name: list_after
select seq, part, key, type, version, body, id, source, correlation, causation, at from af_event
where seq > :after and (:correlation is null or correlation = :correlation) order by seq limit :limit;

-- name: trace
select seq, part, key, type, version, body, id, source, correlation, causation, at from af_event
where correlation = :correlation order by seq limit :limit;

-- name: get
select seq, part, key, type, version, body, id, source, correlation, causation, at from af_event where seq = :seq;

-- name: offsets
select log from af_actor where name = :name;

-- name: begin
update af_actor set log = :log where name = :name and owner = :owner and epoch = :epoch;

-- name: save
update af_actor set state = :state, next = :next, log = :log where name = :name and owner = :owner and epoch = :epoch;

-- name: set_aside
insert into af_event_aside
    (stage, consumer, lane, due, attempt, quiet, error, keep_until, seq, part, key, type, version, body, id, source, correlation, causation, at)
values
    (:stage, :consumer, :lane, :due, :attempt, :quiet, :error, :keep, :seq, :part, :key, :type, :version, :body, :id, :source, :correlation, :causation, :at)
returning number;

-- name: parked
select number, lane, due, attempt, late, quiet, error, seq, part, key, type, version, body, id, source, correlation, causation, at
from af_event_aside where consumer = :consumer and stage = 0 order by number;

-- name: aloud
select seq from af_event_aside where consumer = :consumer and stage = 2 order by number;

-- name: again
update af_event_aside set attempt = :attempt, due = :due, error = :error where number = :number and stage = 0;

-- name: bury
update af_event_aside set stage = 1, attempt = :attempt, due = null, error = :error, keep_until = :keep, late = 0
where number = :number and stage = 0;

-- name: unpark
delete from af_event_aside where number = :number and stage = 0;

-- name: heard
delete from af_event_aside where consumer = :consumer and stage = 2 and seq = :seq;

-- name: aside
select number, consumer, attempt, error, due, seq, part, key, type, version, body, id, source, correlation, causation, at
from af_event_aside
where stage = :stage and (:actors is null or consumer in (select value from json_each(:actors))) and number < :before
order by number desc limit :limit;

-- name: aside_count
select count(*) from af_event_aside where stage = :stage and (:actors is null or consumer in (select value from json_each(:actors)));

-- name: dead_numbers
select number from af_event_aside
where stage = 1 and (:actors is null or consumer in (select value from json_each(:actors))) and number > :after and number <= :upto
order by number limit :limit;

-- name: revive
update af_event_aside set stage = 0, attempt = 0, due = :now, late = 1, keep_until = null
where stage = 1 and number in (select value from json_each(:numbers)) returning consumer;

-- name: drop_dead
delete from af_event_aside where stage = 1 and number in (select value from json_each(:numbers));

-- name: first_due
select min(due) from af_event_aside where stage = 3;

-- name: take_due
delete from af_event_aside where number in (select number from af_event_aside where stage = 3 and due <= :now order by due, number limit :limit)
returning number, due, part, key, type, version, body, id, source, correlation, causation, at;

-- name: consumer
select name, path, service, members, types, paused from af_consumer where name = :name;

-- name: consumers
select name, path, service, members, types, paused from af_consumer order by name;

-- name: any_consumer
select 1 from af_consumer limit 1;

-- name: add_consumer
insert into af_consumer (name, path, service, members, types) values (:name, :path, :service, :members, :types)
on conflict (name) do nothing;

-- name: change_consumer
update af_consumer set path = :path, service = :service, members = :members, types = :types where name = :name;

-- name: pause
update af_consumer set paused = :paused where name = :name;

-- name: drop_consumer
delete from af_consumer where name = :name;

-- name: join
insert into af_consumer_node (consumer, node) values (:consumer, :node) on conflict (consumer, node) do nothing;

-- name: part
delete from af_consumer_node where consumer = :consumer and node = :node;

-- name: leave
delete from af_consumer_node where node = :node;

-- name: drop_orphans
delete from af_consumer_node where consumer = :consumer and not exists (select 1 from af_node where id = af_consumer_node.node);

-- name: nodes
select node from af_consumer_node where consumer = :consumer and exists (select 1 from af_node where id = af_consumer_node.node)
order by node;

-- name: members
select name, owner, epoch, state is not null, log from af_actor where name in (select value from json_each(:names));

-- name: reset
update af_actor set owner = null, epoch = epoch + 1, state = null, log = :log where name = :name;

-- name: keep_aloud
update af_event_aside set stage = 2, due = null, error = null, keep_until = null
where consumer = :consumer and stage in (0, 1) and quiet = 0 and exists (select 1 from af_event as event where event.seq = af_event_aside.seq);

-- name: drop_aside
delete from af_event_aside
where consumer = :consumer and (stage = 0 or stage = 1 and exists (select 1 from af_event as event where event.seq = af_event_aside.seq));

-- name: drop_all_aside
delete from af_event_aside where consumer = :consumer;

-- name: behind
select count(*) from af_event where part = :part and seq > :after;

-- name: behind_all
select count(*) from af_event where seq > :after and part in (select value from json_each(:parts));

-- name: prune
delete from af_event where seq in
    (select seq from (select seq, at from af_event where seq <= :upto order by seq limit :limit) as oldest where at < :before);

-- name: prune_dead
delete from af_event_aside where number in (select number from af_event_aside where keep_until <= :now limit :limit);

-- name: add
insert into af_node (id, pid, host, boot, started, beat) values (:id, :pid, :host, :boot, :started, :beat);

-- name: join
insert into af_node (id, pid, host, boot, started, beat) values (:id, :pid, :host, :boot, :started, :beat)
on conflict (id) do update set beat = excluded.beat;

-- name: beat
update af_node set beat = :beat where id = :id;

-- name: others
select id, pid, host, boot, started, beat from af_node where id <> :id order by started;

-- name: get
select id, pid, host, boot, started, beat from af_node where id = :id;

-- name: remove
delete from af_node where id = :id;

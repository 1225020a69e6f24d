create table af_meta (
    key text primary key,
    value not null
) without rowid;

insert into af_meta (key, value) values ('version', 0);

-- A process that works: it holds a lock on a file of this id as long as it lives.
create table af_node (
    id text primary key,
    pid integer not null,
    host text not null,
    boot text not null,
    started real not null,
    beat real not null -- seconds of the machine's monotonic clock
) without rowid;

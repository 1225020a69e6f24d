create schema if not exists actorflow;

create table actorflow.meta (
    key text primary key,
    value bigint not null
);

insert into actorflow.meta (key, value) values ('version', 0);

-- A process that works: its session holds an advisory lock of this number as long as it lives.
create table actorflow.node (
    id text primary key,
    pid bigint not null,
    host text not null,
    boot text not null,
    started double precision not null,
    beat double precision not null,
    lock bigint generated always as (hashtextextended(id, 0)) stored
);

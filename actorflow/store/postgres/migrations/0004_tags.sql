-- A tag of a job, to find it by.
create table actorflow.job_tag (
    queue text not null,
    tag text not null,
    job bigint not null,
    primary key (queue, tag, job)
);

insert into actorflow.job_tag (queue, tag, job)
select distinct queue, unnest(string_to_array(tags, E'\n')), id from actorflow.job where tags is not null;

create index job_held on actorflow.job (queue) where stage = 2;

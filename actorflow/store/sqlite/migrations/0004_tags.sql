-- A tag of a job, to find it by.
create table af_job_tag (
    queue text not null,
    tag text not null,
    job integer not null,
    primary key (queue, tag, job)
) without rowid;

with recursive part (queue, job, tag, rest) as (
    select queue, id, null, tags || char(10) from af_job where tags is not null
    union all
    select queue, job, substr(rest, 1, instr(rest, char(10)) - 1), substr(rest, instr(rest, char(10)) + 1)
    from part where rest <> ''
)
insert into af_job_tag (queue, tag, job)
select distinct queue, tag, job from part where tag is not null;

create index af_job_held on af_job (queue) where stage = 2;

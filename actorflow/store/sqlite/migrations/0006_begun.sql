-- The job has begun; noted only where whoever takes it over cannot see that otherwise, and it matters.
alter table af_job add column begun integer not null default 0;

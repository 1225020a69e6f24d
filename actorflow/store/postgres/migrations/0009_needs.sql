-- Of a job that is removed, or queued again: the others that it waited for.
create index need_job on actorflow.need (job);

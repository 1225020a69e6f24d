-- Of a job that is removed, or queued again: the others that it waited for.
create index af_need_job on af_need (job);

-- name: hold
select pg_try_advisory_lock(hashtextextended(:id, 0));

-- name: free
select pg_advisory_unlock(hashtextextended(:id, 0));

-- name: rejoin
insert into actorflow.node (id, pid, host, boot, started, beat) values (:id, :pid, :host, :boot, :started, :beat)
on conflict (id) do nothing;

-- name: time
select extract(epoch from clock_timestamp())::double precision;

-- name: timeline
-- After a crash the server gives numbers of transactions that it had not written down to others: so each start of its
-- own is a history of its own. Its checkpointer starts anew with it, also when only its sessions have crashed.
select substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8), pg_postmaster_start_time()::text,
    (select max(backend_start)::text from pg_stat_activity where backend_type = 'checkpointer');

-- name: fate
select pg_xact_status(:number::xid8);

-- name: listen
listen actorflow;

-- name: tell
select pg_notify('actorflow', :from);

-- name: dead
select node.id from actorflow.node as node
where node.id <> :id
    and now() - greatest( -- five seconds for nodes to come back after a restart of the server, or of all its sessions
        pg_postmaster_start_time(), (select max(backend_start) from pg_stat_activity where backend_type = 'checkpointer')
    ) > interval '5 seconds'
    and not exists (
        select 1 from pg_locks as lock
        where lock.locktype = 'advisory' and lock.granted and lock.objsubid = 1
            and lock.database = (select oid from pg_database where datname = current_database())
            and ((lock.classid::bigint << 32) | lock.objid::bigint) = node.lock
    );

-- name: turn
-- Of writers of one partition of the log: numbers are taken in the order of commits.
select pg_advisory_xact_lock(:space, :part);

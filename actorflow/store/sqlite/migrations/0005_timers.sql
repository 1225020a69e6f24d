-- As of messages: processes that died on a timer; and that it is being handled, noted of those only.
alter table af_actor_timer add column crashes integer not null default 0;

alter table af_actor_timer add column started integer not null default 0;

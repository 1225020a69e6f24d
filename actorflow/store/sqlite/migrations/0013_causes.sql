-- The event because of which a run was started: ids of the conversation and of the event, as JSON; null: there is none.
alter table af_run add column cause text;

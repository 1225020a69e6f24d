-- How many messages may wait for an actor, and what happens to one more: senders on other nodes have no other way to know.
alter table af_actor add column capacity integer;

alter table af_actor add column overflow text;

-- How many messages may wait for an actor, and what happens to one more: senders on other nodes have no other way to know.
alter table actorflow.actor add column capacity integer;

alter table actorflow.actor add column overflow text;

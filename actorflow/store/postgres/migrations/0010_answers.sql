-- An asker in mail may be the address of a mailbox from now on: a program before this would leave the answer to a
-- node of that name, which nobody fetches. So the version rises, and such a program stops writing.
select 1;

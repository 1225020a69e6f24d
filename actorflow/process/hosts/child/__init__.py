"""Child: the code that runs in a host.

`main` (its main function), `scheduler` (the holder of the baton reads the link), `guests` (actors that live in the
parent's tree), `guest_ref` (their refs) and `parent_requests` (the parent's requests about them).
"""

"""PostgreSQL: the store on a server, for several machines. Layer 2."""

"""Kill -9 of what works on a store: nothing that was acknowledged is lost, and nothing is recorded as done twice."""

"""Supervision by OTP's rules.

`supervisor` (the actor), `restarts` (its children, and which of them end and begin again), `window` (how often).
"""

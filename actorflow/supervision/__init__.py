"""Supervision by OTP's rules: restart window, restarts, and the Supervisor actor."""

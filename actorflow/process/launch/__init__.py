"""Launch: starts child processes by a fork server of our own, and tells how they end."""

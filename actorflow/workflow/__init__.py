"""Tasks: functions that queues and workflows run."""

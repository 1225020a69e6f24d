"""Tasks: functions that queues and workflows run. Layer 3."""

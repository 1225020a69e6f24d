"""Figures of runs: functions of steps, which read no clock and no store.

`times` (task time, coordination, critical path, capacity), `schedule` (the ideal to compare with), `timeline` (a Gantt
chart as text and as SVG), `mermaid` (a DAG as a flowchart).
"""

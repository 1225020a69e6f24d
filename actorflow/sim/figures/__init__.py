"""Figures: what a simulated run is measured by.

`histogram` (durations in buckets), `time_series` (a number over virtual time), `statistics` (intervals over seeds, the
warm-up), `tables` (the rows of a report), `pairs` (the time from one event to another), `publications` (the events of a
run), `job_rows` (the jobs of a queue), `recording` (notes the load as the app runs), `sequence` (messages as a
diagram).
"""

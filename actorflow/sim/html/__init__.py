"""HTML: the findings of a search as one file that needs no network, with pictures in SVG.

`text` (text and numbers for pages), `style` (the colours, in the light and in the dark), `axis` (scales and their
ticks), `histogram_picture`, `series_picture`, `gantt_picture` and `sequence_picture` (the pictures), `rows` (tables),
`page` (all of it).
"""

"""Style: the looks of a page, in the light and in the dark, on wide screens and narrow ones."""

from __future__ import annotations

from typing import Final

STYLE: Final = """
:root { color-scheme: light dark; --back: #fff; --fore: #1c2430; --soft: #5b6675; --line: #d9dee5; --panel: #f5f7f9;
  --mark: #2b6cb0; --mark-soft: #bcd6ee; --other: #b7791f; --good: #2f7d4f; --bad: #b83232; }
@media (prefers-color-scheme: dark) { :root { --back: #14181e; --fore: #e4e8ed; --soft: #98a3b0; --line: #323a45;
  --panel: #1c222a; --mark: #6cb0f0; --mark-soft: #274766; --other: #e0a94a; --good: #62c28a; --bad: #f07b7b; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 70rem; padding: 1.25rem; background: var(--back); color: var(--fore);
  font: 15px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1rem 0 .25rem; } p { margin: .25rem 0; } .soft { color: var(--soft); }
.good { color: var(--good); font-weight: 600; } .bad { color: var(--bad); font-weight: 600; }
.scroll { overflow-x: auto; } .scroll svg { display: block; width: 100%; min-width: 40rem; height: auto; }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 25rem), 1fr)); gap: .75rem 1.5rem;
  margin: .75rem 0; }
.pictures svg { display: block; width: 100%; height: auto; } figure { margin: 0; } figcaption { font-size: .9rem; }
table { border-collapse: collapse; font-size: .9rem; } th, td { padding: .2rem .75rem .2rem 0; text-align: left;
  white-space: nowrap; } th { color: var(--soft); font-weight: 500; } tr + tr { border-top: 1px solid var(--line); }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
pre { background: var(--panel); padding: .75rem; overflow-x: auto; font-size: .85rem; border-radius: 4px; }
code { font-size: .9em; } summary { cursor: pointer; color: var(--soft); }
svg text { font: 11px system-ui, sans-serif; fill: var(--fore); } svg .soft { fill: var(--soft); }
svg .axis { stroke: var(--line); stroke-width: 1; }
svg .bar { fill: var(--mark); } svg .area { fill: var(--mark-soft); }
svg .line { fill: none; stroke: var(--mark); stroke-width: 1.5; } svg .other { fill: none; stroke: var(--other); }
svg .back { fill: var(--panel); stroke: var(--line); } svg .lost { stroke: var(--bad); }
svg text.lost { fill: var(--bad); stroke: none; } svg .arrow { fill: none; stroke: var(--fore); }
svg .answer { stroke-dasharray: 5 3; }
svg .limit { stroke: var(--other); stroke-dasharray: 3 3; }
""".strip()

"""How the page looks, in light and dark."""

from __future__ import annotations

from typing import Final

STYLE: Final = """
:root { color-scheme: light dark;
  --page: #f4f6f9; --card: #ffffff; --text: #1a2029; --muted: #5d6878; --line: #e4e8ee; --soft: #eef1f6;
  --blue: #2f6fed; --teal: #0f9d8a; --violet: #7a5af8; --amber: #d98a00; --red: #d13b3b; --green: #1b8a5a;
  --grey: #98a2b3;
  --shadow: 0 1px 2px rgba(16, 24, 40, .06), 0 1px 3px rgba(16, 24, 40, .08); }
@media (prefers-color-scheme: dark) { :root {
  --page: #0d1117; --card: #161b23; --text: #e7ebf1; --muted: #98a4b5; --line: #2a323e; --soft: #1f2630;
  --blue: #6c9eff; --teal: #3fc7b4; --violet: #a48afb; --amber: #f0b429; --red: #ff7b72; --green: #4cc38a;
  --grey: #6b7688;
  --shadow: none; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", sans-serif; }
main { max-width: 1200px; margin: 0 auto; padding: 32px 24px 56px; }
h1 { font-size: 26px; line-height: 1.25; margin: 0; letter-spacing: -.01em; overflow-wrap: anywhere; }
h2 { font-size: 16px; margin: 0 0 2px; }
h3 { font-size: 14px; margin: 18px 0 6px; }
p { margin: 0 0 12px; }
code, .mono { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: .9em; }
.muted { color: var(--muted); }
.brand { color: var(--muted); font-size: 13px; letter-spacing: .04em; margin-bottom: 6px; }
.head { display: flex; flex-wrap: wrap; align-items: center; gap: 12px; }
.pill { border-radius: 999px; padding: 3px 12px; font-size: 13px; font-weight: 600; border: 1px solid currentColor; }
.pill.finished { color: var(--green); } .pill.failed { color: var(--red); } .pill.running { color: var(--amber); }
.facts { color: var(--muted); margin: 8px 0 20px; display: flex; flex-wrap: wrap; gap: 4px 18px;
  overflow-wrap: anywhere; }
.facts b { color: var(--text); font-weight: 600; }
.note { background: var(--card); border-left: 4px solid var(--amber); border-radius: 8px; padding: 12px 16px;
  margin: 0 0 16px; box-shadow: var(--shadow); overflow-wrap: anywhere; }
.note.bad { border-color: var(--red); } .note.good { border-color: var(--green); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(175px, 1fr)); gap: 14px; margin-bottom: 14px; }
.tile, .card { background: var(--card); border-radius: 12px; box-shadow: var(--shadow);
  border: 1px solid var(--line); }
.tile { padding: 14px 16px; }
.tile .name { color: var(--muted); font-size: 13px; }
.tile .value { font-size: 25px; font-weight: 650; letter-spacing: -.02em; line-height: 1.3;
  font-variant-numeric: tabular-nums; }
.tile .value.long { font-size: 19px; line-height: 1.7; }
.tile .sub { color: var(--muted); font-size: 13px; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 460px), 1fr)); gap: 14px; }
.card { padding: 18px 20px; min-width: 0; }
.card.wide { grid-column: 1 / -1; }
.card > p { color: var(--muted); font-size: 13.5px; }
svg { display: block; width: 100%; height: auto; }
svg text { font: 11px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; fill: var(--muted); }
svg .end { text-anchor: end; } svg .mid { text-anchor: middle; }
svg .label { font-weight: 600; } svg text.mark { fill: var(--red); stroke: none;
  } svg text.hint { fill: var(--muted); stroke: none; }
.bar { fill: var(--blue); } .bar.small { fill: var(--amber); } .bar.teal { fill: var(--teal); }
.bar.violet { fill: var(--violet); } .bar:hover { opacity: .75; }
line.grid { stroke: var(--line); } line.axis { stroke: var(--grey); }
line.mark { stroke: var(--red); stroke-width: 1.5; stroke-dasharray: 4 3; } line.hint { stroke: var(--grey);
  stroke-dasharray: 2 3; }
.spark { width: 120px; height: 16px; } .range { fill: var(--blue); opacity: .35; } .dot { fill: var(--blue); }
.spark line.mark { stroke-dasharray: none; }
.scroll { overflow-x: auto; margin: 0 -20px -6px; padding: 0 20px 6px; }
.scroll > svg { min-width: 720px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: 13px; }
th { text-align: right; color: var(--muted); font-weight: 600; padding: 6px 7px;
  border-bottom: 1px solid var(--line); white-space: nowrap; }
td { text-align: right; padding: 6px 7px; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
td:first-child { max-width: 250px; overflow: hidden; text-overflow: ellipsis; }
tr:last-child td { border-bottom: 0; }
tr.rest td { color: var(--muted); } tr.total td { font-weight: 650; border-top: 1px solid var(--grey); }
td.left, th.left { text-align: left; } td.bad { color: var(--red); font-weight: 600; }
.reasons { display: grid; grid-template-columns: max-content 1fr max-content; gap: 8px 14px; align-items: center;
  font-size: 14px; }
.track { background: var(--soft); border-radius: 6px; height: 14px; overflow: hidden; }
.track > span { display: block; height: 100%; background: var(--blue); border-radius: 6px; min-width: 3px; }
.track.letters > span { background: var(--red); }
.reasons .why { grid-column: 1 / -1; color: var(--muted); font-size: 13px; margin: -6px 0 4px;
  overflow-wrap: anywhere; }
.share { display: flex; gap: 2px; height: 12px; border-radius: 6px; overflow: hidden; background: var(--soft);
  margin: 2px 0 18px; }
.part { display: block; min-width: 3px; } .part.good { background: var(--green);
  } .part.bad { background: var(--red); }
.part.gone { background: var(--amber); }
pre { background: var(--soft); border-radius: 8px; padding: 8px 12px; margin: 4px 0; font-size: 12.5px;
  white-space: pre-wrap;
  overflow-wrap: anywhere; }
details { margin-top: 10px; } summary { cursor: pointer; color: var(--muted); font-size: 13.5px; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 4px 18px; margin: 8px 0 0; font-size: 13.5px; }
dt { color: var(--muted); } dd { margin: 0; overflow-wrap: anywhere; }
footer { color: var(--muted); font-size: 12.5px; margin-top: 28px; overflow-wrap: anywhere; }
@media print { body { background: #fff; } .card, .tile { break-inside: avoid; box-shadow: none; } }
"""
"""The style sheet; it names no file and no host."""

"""How the page of a report looks: on wide screens and narrow ones, in light and dark."""

from __future__ import annotations

__all__ = ["STYLE"]

# The shadows at the edges of a box that scrolls lie behind its content: what scrolls along covers them where there is
# nothing more. The hint above it is there only while there is something to scroll, where the browser can tell.
STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1f2933; --soft: #52606d; --line: #e4e7eb; --accent: #33658a;
  --shade: rgba(0, 0, 0, .25); }
@media (prefers-color-scheme: dark) {
  :root { --paper: #14181d; --ink: #e6e9ed; --soft: #a5b0bc; --line: #343c46; --accent: #8fbfe6;
    --shade: rgba(255, 255, 255, .35); }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 64rem; padding: 2rem 1.25rem 4rem; color: var(--ink); background: var(--paper);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .5rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .4rem; color: var(--accent); }
p { margin: .4rem 0; max-width: 46rem; overflow-wrap: anywhere; }
.soft, figcaption { color: var(--soft); font-size: .92rem; }
figure { margin: 1.25rem 0 0; max-width: 44rem; }
figure img { display: block; width: 100%; background: #fff; border-radius: 4px; }
figcaption { margin-top: .4rem; }
.wide { timeline-scope: --sideways; margin: .75rem 0; }
.scroll { overflow-x: auto; scroll-timeline: --sideways inline;
  background:
    linear-gradient(to right, var(--paper) 40%, transparent) left / 3rem 100% no-repeat local,
    linear-gradient(to left, var(--paper) 40%, transparent) right / 3rem 100% no-repeat local,
    radial-gradient(farthest-side at 0 50%, var(--shade), transparent) left / 1rem 100% no-repeat scroll,
    radial-gradient(farthest-side at 100% 50%, var(--shade), transparent) right / 1rem 100% no-repeat scroll; }
.hint { display: none; margin: 0; text-align: right; font-size: .85rem; color: var(--accent); }
@supports (animation-timeline: --sideways) {
  .hint { display: block; visibility: hidden; height: 0; animation: more linear; animation-timeline: --sideways; }
  @keyframes more { 0%, 95% { visibility: visible; height: 1.4rem; } 100% { visibility: hidden; height: 1.4rem; } }
}
table { border-collapse: collapse; width: 100%; font-size: .95rem; }
th { text-align: left; font-weight: 600; border-bottom: 2px solid var(--line); vertical-align: bottom; }
td { border-bottom: 1px solid var(--line); vertical-align: top; max-width: 11rem; }
th, td { padding: .4rem 1.25rem .4rem 0; }
tr > :last-child { padding-right: 0; }
td.long { min-width: 10rem; overflow-wrap: anywhere; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.words { min-width: 21rem; max-width: none; overflow-wrap: anywhere; }
.best { font-weight: 700; }
ul { list-style: none; margin: 0; padding: 0; }
@media (max-width: 48rem) {
  body { padding: 1.25rem 1rem 3rem; }
  .cards, .cards tbody { display: block; }
  .cards thead { display: none; }
  .cards tr { display: flex; flex-wrap: wrap; gap: 0 1.1rem; padding: .7rem 0; border-bottom: 1px solid var(--line); }
  .cards td, .cards td.long { display: block; max-width: 100%; min-width: 0; padding: 0; border: 0; text-align: left;
    white-space: normal; overflow-wrap: anywhere; }
  .cards td:empty { display: none; }
  .cards td::before { content: attr(data-label) " "; color: var(--soft); font-size: .85rem; }
  .cards .words { flex: 0 0 100%; margin-top: .2rem; }
  .cards .words::before { content: none; }
}
"""

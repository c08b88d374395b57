/** The report's style sheet: system fonts, light and dark, eight colours that the colour-blind can tell apart (Okabe & Ito). */
export const REPORT_CSS = `
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5b6675; --line: #dfe4ea; --paper: #ffffff; --panel: #f6f8fa;
  --gain: #0b7a5c; --loss: #c0451b;
  --s0: #0068a8; --s1: #d35400; --s2: #00875f; --s3: #b8860b; --s4: #a84a87; --s5: #3f8fd0; --s6: #6b6f76; --s7: #8a2b0d; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --soft: #9aa6b5; --line: #333c48; --paper: #14181d; --panel: #1d232b;
  --gain: #39c79b; --loss: #ff8a5c;
  --s0: #5ab4f0; --s1: #ff9c57; --s2: #3fd0a0; --s3: #f0c64f; --s4: #e695c8; --s5: #a5d2f7; --s6: #b4bac2; --s7: #f0846a; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 28px 24px 80px; }
h1 { font-size: 26px; margin: 0 0 4px; letter-spacing: -.01em; }
h2 { font-size: 19px; margin: 44px 0 6px; padding-top: 12px; border-top: 1px solid var(--line); }
h3 { font-size: 15px; margin: 22px 0 6px; }
p { margin: 4px 0 10px; max-width: 80ch; }
.soft, .facts { color: var(--soft); }
.facts { font-size: 13px; }
nav a { margin-right: 14px; color: var(--s0); text-decoration: none; font-size: 14px; }
.table { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 13px; margin: 8px 0 14px; }
th { text-align: right; font-weight: 600; color: var(--soft); border-bottom: 1px solid var(--line); padding: 4px 5.5px; white-space: nowrap; }
td { text-align: right; padding: 4px 5.5px; border-bottom: 1px solid var(--line); white-space: nowrap; }
th.name, td.name { text-align: left; }
td.best { font-weight: 700; }
.swatch { display: inline-block; width: 10px; height: 10px; border-radius: 3px; margin-right: 7px; }
.plots { display: flex; flex-wrap: wrap; gap: 14px; margin: 10px 0; }
figure { margin: 0; background: var(--panel); border-radius: 10px; padding: 12px 14px; max-width: 100%; overflow-x: auto; }
/* A long caption wraps at the width of its picture. */
figcaption { font-size: 13px; font-weight: 600; margin-bottom: 6px; width: 0; min-width: 100%; }
svg { display: block; font: 12px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
svg text { fill: var(--ink); } svg .tick, svg .label { fill: var(--soft); font-size: 11.5px; } svg .strong { fill: var(--ink); font-weight: 600; }
svg .value { font-size: 12px; }
svg .grid { stroke: var(--line); } svg .axis, svg .zero { stroke: var(--soft); } svg .zero { stroke-dasharray: 3 3; }
svg .mark { stroke: var(--panel); stroke-width: 1.5; } svg .line { fill: none; stroke-width: 1.5; opacity: .6; } svg .interval { stroke-width: 3; opacity: .55; }
svg .gain { fill: var(--gain); } svg .loss { fill: var(--loss); }
.gain { color: var(--gain); } .loss { color: var(--loss); }
${Array.from({ length: 8 }, (_, i) => `.swatch.s${i} { background: var(--s${i}); } svg .s${i} { fill: var(--s${i}); stroke: var(--s${i}); } svg .mark.s${i} { stroke: var(--panel); } svg .line.s${i} { fill: none; }`).join('\n')}
details { border: 1px solid var(--line); border-radius: 8px; margin: 8px 0; background: var(--paper); }
summary { cursor: pointer; padding: 8px 14px; display: flex; gap: 14px; align-items: baseline; flex-wrap: wrap; }
summary .text { flex: 1 1 480px; font-weight: 500; }
summary .values { font-variant-numeric: tabular-nums; font-size: 13px; color: var(--soft); }
.answers { display: grid; grid-template-columns: repeat(auto-fit, minmax(300px, 1fr)); gap: 6px 22px; padding: 4px 14px 14px; }
.answers h4 { margin: 8px 0 2px; font-size: 13px; }
.hit { font-size: 13px; margin: 6px 0; padding-left: 10px; border-left: 3px solid var(--line); overflow-wrap: anywhere; }
.hit.relevant { border-left-color: var(--gain); }
.hit .why { color: var(--soft); font-family: ui-monospace, SFMono-Regular, Menlo, monospace; font-size: 11.5px; }
.chip { display: inline-block; border-radius: 9px; padding: 0 7px; font-size: 11px; background: var(--panel); color: var(--soft); margin-right: 6px; }
.chip.relevant { background: var(--gain); color: var(--paper); }
`;

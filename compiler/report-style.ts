/** The style sheet of the HTML reports (of a compile, of a bench): light, dark, phone, print. */

export const escapeHtml = (text: string): string =>
  text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);

export const styleSheet = `
:root{--ground:#fbfaf7;--surface:#fff;--ink:#1d2420;--quiet:#68736c;--line:#e3e5df;--track:#eef0ea;--leafcutter:#2f8f4e;--ort:#5a78c8;--tfjs:#d9822b;--bad:#c0392b}
@media (prefers-color-scheme:dark){:root{--ground:#141816;--surface:#1c211e;--ink:#e6ebe7;--quiet:#96a29b;--line:#2c332f;--track:#262d29;--leafcutter:#58c07b;--ort:#8aa4ee;--tfjs:#f0a457;--bad:#ff7b6b}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:1120px;margin:0 auto;padding:28px 20px 60px}
h1{font-size:28px;line-height:1.2;margin:0 0 4px;letter-spacing:-.02em}
h2{font-size:19px;margin:44px 0 4px;letter-spacing:-.01em}
h3{font-size:15px;margin:0 0 8px}
h3 .quiet{font-weight:400}
p{margin:0}
section>p.quiet{margin-bottom:14px;max-width:70ch}
.quiet{color:var(--quiet);font-size:13px}
.bad{color:var(--bad);font-weight:600}
.number{font-variant-numeric:tabular-nums;white-space:nowrap}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(220px,1fr));gap:14px;margin-top:22px}
.card{background:var(--surface);border:1px solid var(--line);border-radius:10px;padding:14px 18px}
.figure{font-size:38px;line-height:1.1;font-weight:650;color:var(--leafcutter);letter-spacing:-.02em;font-variant-numeric:tabular-nums}
.figure small{font-size:22px}
.multiples{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,330px),1fr));gap:16px 28px}
article{background:var(--surface);border:1px solid var(--line);border-radius:10px;padding:14px 18px;break-inside:avoid}
.label{display:flex;justify-content:space-between;gap:12px;align-items:baseline;margin-top:6px}
.label .name{overflow-wrap:anywhere}
.bar{display:block;margin-top:2px}
.track{fill:var(--track)}
rect.leafcutter{fill:var(--leafcutter)}
rect.onnxruntime-web{fill:var(--ort)}
rect.tfjs{fill:var(--tfjs)}
rect.slower{fill:var(--bad)}
.whisker{stroke:var(--ink);stroke-width:1.5}
.one{stroke:var(--ink);stroke-width:1.5;stroke-dasharray:3 2}
.dot{display:inline-block;width:9px;height:9px;border-radius:50%;margin-right:7px}
.dot.leafcutter{background:var(--leafcutter)}
.dot.onnxruntime-web{background:var(--ort)}
.dot.tfjs{background:var(--tfjs)}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:7px 10px;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}
th{font-size:12px;font-weight:600;color:var(--quiet);white-space:normal;vertical-align:bottom}
th:first-child,th:nth-child(2),td:first-child,td:nth-child(2){text-align:left;white-space:normal}
details{border-bottom:1px solid var(--line);padding:10px 0}
summary{cursor:pointer}
.steps{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,330px),1fr));gap:4px 28px;margin-top:8px}
.step .bar{height:8px}
.step .quiet{font-size:12px}
.step{break-inside:avoid}
footer ul{margin:6px 0 0;padding-left:20px}
.views{display:flex;flex-wrap:wrap;gap:8px;margin:14px 0}
.views label{border:1px solid var(--line);border-radius:999px;padding:5px 14px;cursor:pointer;background:var(--surface)}
.view-choice{position:absolute;opacity:0}
.view-choice:focus-visible+label{outline:2px solid var(--leafcutter)}
.view-choice:checked+label{background:var(--leafcutter);border-color:var(--leafcutter);color:var(--ground);font-weight:600}
.front{display:none}
.fronts:has(#view-latency:checked) .front.latency,.fronts:has(#view-energy:checked) .front.energy,.fronts:has(#view-size:checked) .front.size{display:block}
.chart{width:100%;height:auto;display:block}
.chart text{fill:var(--quiet);font:12px system-ui,sans-serif}
.chart .grid{stroke:var(--line);stroke-width:1}
.chart .path{fill:none;stroke:var(--leafcutter);stroke-width:2;opacity:.55}
.chart .point{fill:var(--leafcutter)}
.chart .original{fill:var(--ort)}
.chart .chosen{fill:var(--tfjs);stroke:var(--surface);stroke-width:2}
.chart .limit{stroke:var(--bad);stroke-width:1.5;stroke-dasharray:4 3}
.chart .mark{fill:var(--ink);font-weight:600}
.histogram{width:100%;height:70px;display:block}
.histogram .before{fill:var(--track);stroke:var(--quiet);stroke-width:.4}
.histogram .after{fill:var(--leafcutter);opacity:.75}
@media (max-width:640px){
main{padding:18px 14px 40px}
h1{font-size:23px}
table,tbody{display:block}
thead{display:none}
.chart{width:calc(100% - 20px);margin-left:20px;overflow:visible}
.chart text{font-size:21px}
tr{display:grid;grid-template-columns:1fr 1fr;gap:2px 18px;padding:10px 0;border-bottom:1px solid var(--line)}
td{display:block;text-align:left;padding:1px 0;border:0;white-space:normal}
td:first-child,td:nth-child(2),td:last-child:nth-child(odd){grid-column:1/-1}
td:first-child{font-weight:600}
td::before{content:attr(data-title);display:block;color:var(--quiet);font-size:12px}
td:first-child::before,td:nth-child(2)::before{content:none}
}
@media print{
.front{display:block;break-inside:avoid}.views{display:none}
:root{--ground:#fff;--surface:#fff;--ink:#000;--quiet:#555;--line:#ccc;--track:#eee}
body{font-size:11px;-webkit-print-color-adjust:exact;print-color-adjust:exact}
main{max-width:none;padding:0}
h2{break-after:avoid}
tr{break-inside:avoid}
details::details-content{content-visibility:visible;display:block;height:auto}
}`;

"use strict";
// The reader's weights, ranked here and nowhere else; the rules are those of creuset/compare/rank.py.
const card = JSON.parse(document.getElementById("card").textContent);
const byId = id => document.getElementById(id), root = document.documentElement;
const say = (en, fr) => root.lang === "fr" ? fr : en;
const groups = card.groups.map(g => g.id);
const counted = card.rows.filter(r => r.scale && !r.why_unranked && r.cells.some(c => c.value !== null));
const state = {weights: {}, shown: card.systems.map(() => true), shared: false, plot: ""};
for (const g of groups) state.weights[g] = counted.some(r => r.group === g) ? 5 : 0;
state.plot = groups.find(g => state.weights[g] > 0) || groups[0];

const rules = {
  share: v => v, points: v => v, share_low: v => 1 - v, percent: v => v / 100,
  zero: v => 1 - Math.abs(v), fifty: v => 1 - Math.abs(v - 50) / 50,
  high: (v, known) => Math.max(...known) > 0 ? v / Math.max(...known) : 1,
  low: (v, known) => v > 0 ? Math.min(...known) / v : 1,
};

// One {total, coverage, low, high, groups} for each shown system; total is null where nothing is known.
function standings(weights) {
  const columns = card.systems.map((_, i) => i).filter(i => state.shown[i]);
  let rows = counted.map(r => ({group: r.group, scale: r.scale, values: columns.map(i => r.cells[i].value)}))
    .filter(r => r.values.some(v => v !== null));
  if (state.shared) rows = rows.filter(r => r.values.every(v => v !== null));
  const size = {};
  for (const r of rows) size[r.group] = (size[r.group] || 0) + 1;
  return columns.map((system, at) => {
    let all = 0, known = 0, points = 0;
    const parts = {};
    for (const r of rows) {
      const weight = weights[r.group] / size[r.group], value = r.values[at];
      all += weight;
      if (value === null) continue;
      const mark = Math.min(1, Math.max(0, rules[r.scale](value, r.values.filter(v => v !== null))));
      known += weight;
      points += weight * mark;
      parts[r.group] = (parts[r.group] || 0) + weight * mark;
    }
    for (const g in parts) parts[g] /= known || 1;
    return known > 0
      ? {system, total: points / known, coverage: known / all, low: points / all, high: (points + all - known) / all, parts}
      : {system, total: null, coverage: 0, low: 0, high: all ? 1 : 0, parts: {}};
  });
}

function draw(tag, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [k, v] of Object.entries(attributes)) made.setAttribute(k, v);
  if (text !== undefined) made.textContent = text;
  return made;
}
const shorten = (text, most) => text.length > most ? text.slice(0, most - 1) + "…" : text;
const percent = x => Math.round(100 * x) + (root.lang === "fr" ? " %" : "%");

const tested = card.systems.map((_, i) => card.rows.some(r => r.cells[i].kind === "measured"));

// Systems measured here and those known by what others say rest on different rows: two lists, never one.
function rank() {
  const sorted = standings(state.weights).sort((a, b) => (b.total ?? -1) - (a.total ?? -1));
  const here = sorted.filter(s => tested[s.system]), there = sorted.filter(s => !tested[s.system]);
  const found = here.length && there.length ? [say("Measured here", "Mesurés ici"), ...here,
    say("Not measured: by published and declared facts alone; not to be held against the list above",
      "Non mesurés : par les seuls faits publiés et déclarés ; à ne pas comparer à la liste ci-dessus"), ...there] : sorted;
  const wide = byId("ranking").clientWidth || 700, left = Math.min(190, wide * .34), right = 118, line = 34;
  const x = v => left + v * (wide - left - right);
  const svg = draw("svg", {viewBox: `0 0 ${wide} ${found.length * line + 20}`, role: "img",
    "aria-label": say("Ranking by your weights", "Classement selon vos poids")});
  found.forEach((s, i) => {
    const y = i * line + 6;
    if (typeof s === "string") {
      svg.append(draw("text", {x: 0, y: y + 18, class: "head"}, shorten(s, Math.floor(wide / 6.2))));
      return;
    }
    svg.append(draw("text", {x: left - 8, y: y + 16, "text-anchor": "end"}, shorten(card.systems[s.system].name, Math.floor(left / 7))));
    svg.append(draw("rect", {x: left, y: y + 4, width: wide - left - right, height: 16, fill: "none", class: "axis"}));
    if (s.total === null) {
      svg.append(draw("text", {x: left + 6, y: y + 16, class: "soft"}, say("nothing known", "rien de connu")));
      return;
    }
    let from = 0;
    for (const g of groups) if (s.parts[g]) {
      const bar = draw("rect", {x: x(from), y: y + 4, width: Math.max(0, x(from + s.parts[g]) - x(from)), height: 16,
        class: "g" + groups.indexOf(g), "stroke-width": 0});
      bar.append(draw("title", {}, card.groups.find(o => o.id === g)[root.lang] + ": " + s.parts[g].toFixed(3)));
      svg.append(bar);
      from += s.parts[g];
    }
    svg.append(draw("line", {x1: x(s.low), x2: x(s.high), y1: y + 24, y2: y + 24, class: "range"}));
    for (const end of [s.low, s.high]) svg.append(draw("line", {x1: x(end), x2: x(end), y1: y + 21, y2: y + 27, class: "range"}));
    svg.append(draw("text", {x: wide - right + 8, y: y + 16}, s.total.toFixed(3).replace(".", say(".", ","))));
    svg.append(draw("text", {x: wide, y: y + 16, "text-anchor": "end", class: "soft"},
      percent(s.coverage) + say(" known", " connu")));
  });
  byId("ranking").replaceChildren(svg);
}

// How the totals move when the weight of one group goes from none to all, the others keeping their proportions.
function sensitivity() {
  const g = state.plot, sum = groups.reduce((s, o) => s + (o === g ? 0 : state.weights[o]), 0);
  const now = state.weights[g] / ((sum + state.weights[g]) || 1);
  const steps = Array.from({length: 41}, (_, i) => i / 40);
  const curves = steps.map(share => standings(Object.fromEntries(
    groups.map(o => [o, o === g ? share : sum ? state.weights[o] * (1 - share) / sum : 0]))));
  const wide = byId("sensitivity").clientWidth || 700, high = 260, left = 36, right = Math.min(170, wide * .32), bottom = 36;
  const x = v => left + v * (wide - left - right), y = v => 10 + (1 - v) * (high - 10 - bottom);
  const svg = draw("svg", {viewBox: `0 0 ${wide} ${high}`, role: "img",
    "aria-label": say("Totals against one weight", "Totaux selon un poids")});
  for (const v of [0, .25, .5, .75, 1]) {
    svg.append(draw("line", {x1: left, x2: wide - right, y1: y(v), y2: y(v), class: "axis"}));
    svg.append(draw("text", {x: left - 5, y: y(v) + 4, "text-anchor": "end", class: "soft"}, String(v).replace(".", say(".", ","))));
    svg.append(draw("text", {x: x(v), y: high - 20, "text-anchor": "middle", class: "soft"}, percent(v)));
  }
  svg.append(draw("text", {x: x(.5), y: high - 4, "text-anchor": "middle", class: "soft"},
    say("share of this weight in all weights", "part de ce poids dans l'ensemble")));
  svg.append(draw("line", {x1: x(now), x2: x(now), y1: y(1), y2: y(0), class: "now"}));
  const labels = [];
  (curves[0] || []).forEach((first, i) => {
    const points = steps.map((s, k) => [s, curves[k][i].total]).filter(p => p[1] !== null);
    if (!points.length) return;
    svg.append(draw("polyline", {"stroke-dasharray": tested[first.system] ? "none" : "5 3", points: points.map(p => `${x(p[0]).toFixed(1)},${y(p[1]).toFixed(1)}`).join(" "),
      class: "g" + first.system % 9}));
    const end = points[points.length - 1];
    labels.push({at: y(end[1]), x: x(end[0]), system: first.system});
  });
  labels.sort((a, b) => a.at - b.at).forEach((l, i) => {
    const place = i ? Math.max(l.at, labels[i - 1].put + 14) : l.at;
    l.put = place;
    svg.append(draw("circle", {cx: wide - right + 8, cy: place, r: 4, class: "g" + l.system % 9, "stroke-width": 0}));
    svg.append(draw("text", {x: wide - right + 16, y: place + 4}, shorten(card.systems[l.system].name, Math.floor(right / 7.2))));
  });
  byId("sensitivity").replaceChildren(svg);
}

function remember() {
  const said = groups.map(g => g + ":" + state.weights[g]).join(",");
  const left = state.shown.map((on, i) => on ? -1 : i).filter(i => i >= 0).join(",");
  history.replaceState(null, "", `#w=${said}${left ? "&without=" + left : ""}${state.shared ? "&shared=1" : ""}&lang=${root.lang}`);
}

function refresh() {
  rank();
  sensitivity();
  for (const cell of document.querySelectorAll("[data-c]")) cell.classList.toggle("hidden", !state.shown[cell.dataset.c]);
}

function detail(td) {
  const row = card.rows[td.dataset.r], cell = row.cells[td.dataset.c];
  const kinds = {measured: ["measured by this tool", "mesuré par cet outil"], reported: ["reported by others", "rapporté par d'autres"],
    declared: ["declared", "déclaré"], unknown: ["unknown", "inconnu"]};
  const facts = [
    [say("what", "quoi"), row[`label`][root.lang]], [say("system", "système"), card.systems[td.dataset.c].name],
    [say("kind", "nature"), say(...kinds[cell.kind])],
    [say("value", "valeur"), (cell.value === null ? "" : String(cell.value) + " " + row.unit) + (cell.words ? " " + cell.words[root.lang] : "")],
    ["95 %", cell.low === null ? "" : `[${cell.low}, ${cell.high}]`], ["n", cell.n || ""],
    [say("source", "source"), cell.source], [say("date", "date"), cell.date], [say("note", "note"), cell.note],
    [say("weighing", "pondération"), row.why_unranked || (row.scale ? "" : say("shown, not weighed", "affiché, non pondéré"))],
  ].filter(f => f[1] !== "");
  const list = document.createElement("dl");
  for (const [name, value] of facts) {
    list.append(Object.assign(document.createElement("dt"), {textContent: name}),
      Object.assign(document.createElement("dd"), {textContent: value}));
  }
  byId("facts").replaceChildren(list);
  byId("detail").hidden = false;
}

const table = byId("table");
table.addEventListener("click", e => { const td = e.target.closest("td"); if (td) { td.focus(); detail(td); } });
table.addEventListener("keydown", e => {
  const td = e.target.closest("td"), move = {ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0]}[e.key];
  if (!td) return;
  if (e.key === "Enter" || e.key === " ") { detail(td); e.preventDefault(); }
  if (e.key === "Escape") byId("detail").hidden = true;
  if (!move) return;
  let r = +td.dataset.r, c = +td.dataset.c, next;
  do { r += move[0]; c += move[1]; next = table.querySelector(`td[data-r="${r}"][data-c="${c}"]`); }
  while (next && next.classList.contains("hidden"));
  if (next) { next.tabIndex = 0; td.tabIndex = -1; next.focus(); if (!byId("detail").hidden) detail(next); e.preventDefault(); }
});
byId("close").addEventListener("click", () => { byId("detail").hidden = true; });
for (const input of document.querySelectorAll("input[type=range]")) {
  input.value = state.weights[input.name];
  input.addEventListener("input", () => set(input.name, +input.value));
}
function set(group, weight) {
  state.weights[group] = weight;
  const input = document.querySelector(`input[name="${group}"]`);
  input.value = weight;
  input.nextElementSibling.value = weight;
  refresh();
  remember();
}
for (const box of document.querySelectorAll("input[name=system]")) box.addEventListener("change", () => {
  state.shown[box.value] = box.checked;
  refresh();
  remember();
});
byId("shared").addEventListener("change", e => { state.shared = e.target.checked; refresh(); remember(); });
byId("plot").addEventListener("change", e => { state.plot = e.target.value; sensitivity(); });
function speak(lang) {
  root.lang = lang;
  for (const option of document.querySelectorAll("option[data-en]")) option.textContent = option.dataset[lang];
  byId("lang").textContent = lang === "fr" ? "English" : "Français";
  refresh();
}
byId("lang").addEventListener("click", () => { speak(root.lang === "fr" ? "en" : "fr"); remember(); });
byId("theme").addEventListener("click", () => {
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
});
addEventListener("resize", refresh);

const told = new URLSearchParams(location.hash.slice(1));
for (const pair of (told.get("w") || "").split(",")) {
  const [g, w] = pair.split(":");
  if (groups.includes(g) && w >= 0 && w <= 10) state.weights[g] = +w;
}
for (const i of (told.get("without") || "").split(",")) if (i !== "" && i in state.shown) state.shown[i] = false;
state.shared = told.get("shared") === "1";
byId("shared").checked = state.shared;
byId("plot").value = state.plot;
for (const input of document.querySelectorAll("input[type=range]")) {
  input.value = state.weights[input.name];
  input.nextElementSibling.value = state.weights[input.name];
}
for (const box of document.querySelectorAll("input[name=system]")) box.checked = state.shown[box.value];
speak(told.get("lang") || (navigator.language.startsWith("fr") ? "fr" : "en"));

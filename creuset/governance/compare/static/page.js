// The reader's choices and what they change on the page. The numbers come from rank.js.
const card = JSON.parse(document.getElementById("card").textContent);
const byId = id => document.getElementById(id), root = document.documentElement;
const say = (en, fr) => root.lang === "fr" ? fr : en;
const groups = card.groups.filter(g => g.weighed).map(g => g.id);
const counted = card.rows.filter(r => r.scale && !r.why_unranked && groups.includes(r.group) && r.cells.some(c => c.value !== null));
const equal = () => Object.fromEntries(groups.map(g => [g, counted.some(r => r.group === g) ? 5 : 0]));
const state = {weights: equal(), shown: card.systems.map(() => true), shared: false, missing: "interval", plot: "",
  volume: {...card.volume}};
state.plot = groups.find(g => state.weights[g] > 0) || groups[0];
const tested = card.systems.map((_, i) => card.rows.some(r => r.cells[i].kind === "measured"));

const columns = () => card.systems.map((_, i) => i).filter(i => state.shown[i]);
function standings(weights) {
  const shown = columns();
  return parts(counted, shown, state.shared).map((p, at) => ({system: shown[at], ...standing(p, weights, state.missing)}));
}
// Systems measured here and those known by what others say rest on different rows: two lists, never one.
function lists() {
  const both = [tested, tested.map(t => !t)].map(kind => columns().filter(i => kind[i])).filter(l => l.length);
  return both.length < 2 ? [["", columns()]] : [[say("Measured here", "Mesurés ici"), both[0]],
    [say("Only read about: by published and declared facts alone; not to be held against the list above",
      "Connus par écrit : faits publiés et déclarés seulement ; à ne pas comparer à la liste ci-dessus"), both[1]]];
}

function draw(tag, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [k, v] of Object.entries(attributes)) made.setAttribute(k, v);
  if (text !== undefined) made.textContent = text;
  return made;
}
const shorten = (text, most) => text.length > most ? text.slice(0, most - 1) + "…" : text;
const decimal = text => text.replace(".", say(".", ","));
const percent = x => Math.round(100 * x) + (root.lang === "fr" ? " %" : "%");
const nameOf = g => card.groups.find(o => o.id === g)[root.lang];

function rank() {
  const all = standings(state.weights), wide = byId("ranking").clientWidth || 700, narrow = wide < 480;
  const left = narrow ? 26 : Math.min(210, wide * .36), right = narrow ? 84 : 172, line = narrow ? 52 : 36;
  const x = v => left + v * (wide - left - right);
  const drawn = [], told = [];       // `told` is the picture in words, for those who do not see it
  let y = 4;
  for (const [title, list] of lists()) {
    if (title) {
      told.push(title);
      let put = "";
      for (const word of [...title.split(" "), null]) {
        if (word !== null && (put + word).length < wide / 6.6) { put += word + " "; continue; }
        drawn.push(draw("text", {x: 0, y: y + 14, class: "head"}, put.trim()));
        y += 17;
        put = word + " ";
      }
      y += 4;
    }
    const found = all.filter(s => list.includes(s.system));
    let place = places(found, state.missing);
    if (place.filter(Boolean).length < 2) place = place.map(() => null);   // first of one is no place
    const order = found.map((_, i) => i).sort((a, b) => ranked(found[b]) - ranked(found[a]) || (found[b].total ?? -1) - (found[a].total ?? -1));
    for (const i of order) {
      const s = found[i], name = card.systems[s.system].name, top = narrow ? y + 20 : y;
      drawn.push(draw("text", narrow ? {x: left, y: y + 14} : {x: left - 8, y: y + 16, "text-anchor": "end"}, shorten(name, narrow ? 40 : Math.floor((left - 40) / 7))));
      if (s.total === null) {
        drawn.push(draw("text", {x: left + 6, y: top + 16, class: "soft"}, say("nothing known", "rien de connu")));
        y += line;
        continue;
      }
      const [best, worst] = place[i] || [0, 0], unranked = say("no place: too little is known of it, or of the others", "non classé : trop peu de connu, de lui ou des autres");
      const spot = draw("text", {x: 0, y: top + 16, class: "head"}, !place[i] ? "–" : best === worst ? best : `${best}–${worst}`);
      spot.append(draw("title", {}, !place[i] ? unranked : best === worst ? say("its place is sure", "sa place est sûre")
        : say(`cannot be told apart from others: place ${best} to ${worst}`, `non départagé : place ${best} à ${worst}`)));
      drawn.push(spot, draw("rect", {x: left, y: top + 4, width: wide - left - right, height: 16, fill: "none", class: "axis"}));
      let from = 0;
      for (const g of groups) if (s.by[g]) {
        const bar = draw("rect", {x: x(from), y: top + 4, width: Math.max(0, x(from + s.by[g]) - x(from)), height: 16,
          class: "g" + groups.indexOf(g), "stroke-width": 0});
        bar.append(draw("title", {}, `${nameOf(g)}: ${decimal(s.by[g].toFixed(3))}`));
        drawn.push(bar);
        from += s.by[g];
      }
      // Above, the interval that the measures' own intervals make; below, the range that the unknown leaves.
      const ends = state.missing === "interval" ? [s.low - s.half, s.high + s.half] : [s.total - s.half, s.total + s.half];
      const [a, b] = ends.map(clamp);
      if (b - a > .002) for (const look of ["halo", "whisker"]) drawn.push(
        draw("path", {d: `M${x(a)},${top + 8}v8m0,-4H${x(b)}m0,-4v8`, class: look}));
      drawn.push(draw("line", {x1: x(s.low), x2: x(s.high), y1: top + 24, y2: top + 24, class: "range"}),
        ...[s.low, s.high].map(e => draw("line", {x1: x(e), x2: x(e), y1: top + 21, y2: top + 27, class: "range"})));
      const said = state.missing === "interval" ? `${s.low.toFixed(2)}–${s.high.toFixed(2)}`
        : s.total.toFixed(2) + (s.half >= .005 ? " ± " + s.half.toFixed(2) : "");
      drawn.push(draw("text", {x: wide - right + 8, y: top + 16}, said.replaceAll(".", say(".", ","))));
      told.push(`${!place[i] ? unranked : best === worst ? best : best + "–" + worst} ${name} ${said}`);
      drawn.push(draw("text", {x: wide, y: narrow ? y + 14 : top + 16, "text-anchor": "end", class: "soft"}, percent(s.coverage) + say(" known", " connu")));
      y += line;
    }
    y += 6;
  }
  const svg = draw("svg", {viewBox: `0 0 ${wide} ${y}`, role: "img",
    "aria-label": [say("Ranking by your weights", "Classement selon vos poids"), ...told].join("; ")});
  svg.append(...drawn);
  byId("ranking").replaceChildren(svg);
}

// Over all weightings there are, how often each is first.
function firsts() {
  const wide = byId("firsts").clientWidth || 700, left = Math.min(190, wide * .34), right = 96, line = 24;
  const x = v => left + v * (wide - left - right);
  const drawn = [], told = [];
  let y = 2;
  for (const [title, list] of lists()) {
    if (list.length < 2) continue;
    if (title) { drawn.push(draw("text", {x: 0, y: y + 14, class: "head"}, shorten(title.split(":")[0], Math.floor(wide / 6.6)))); y += 22; }
    const found = firstShares(parts(counted, list, state.shared), state.missing, groups);
    for (const i of found.map((_, i) => i).sort((a, b) => found[b][1] - found[a][1])) {
      const [alone, tied] = found[i];
      drawn.push(draw("text", {x: left - 8, y: y + 14, "text-anchor": "end"}, shorten(card.systems[list[i]].name, Math.floor(left / 7))),
        draw("rect", {x: left, y: y + 3, width: wide - left - right, height: 14, fill: "none", class: "axis"}),
        draw("rect", {x: left, y: y + 3, width: x(tied) - left, height: 14, class: "tied"}),
        draw("rect", {x: left, y: y + 3, width: x(alone) - left, height: 14, class: "alone"}),
        draw("text", {x: wide - right + 8, y: y + 14}, alone === tied ? percent(alone) : `${percent(alone)} – ${percent(tied)}`));
      told.push(`${card.systems[list[i]].name} ${percent(alone)} – ${percent(tied)}`);
      y += line;
    }
    y += 6;
  }
  const svg = draw("svg", {viewBox: `0 0 ${wide} ${y}`, role: "img", "aria-label": [say("Share of all weightings in which each is first",
    "Part de toutes les pondérations où chacun est premier"), ...told].join("; ")});
  svg.append(...drawn);
  byId("firsts").replaceChildren(svg);
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
    svg.append(draw("text", {x: left - 5, y: y(v) + 4, "text-anchor": "end", class: "soft"}, decimal(String(v))));
    svg.append(draw("text", {x: x(v), y: high - 20, "text-anchor": "middle", class: "soft"}, percent(v)));
  }
  svg.append(draw("text", {x: x(.5), y: high - 4, "text-anchor": "middle", class: "soft"},
    say("share of this weight in all weights", "part de ce poids dans l'ensemble")));
  svg.append(draw("line", {x1: x(now), x2: x(now), y1: y(1), y2: y(0), class: "now"}));
  const labels = [];
  (curves[0] || []).forEach((first, i) => {
    const points = steps.map((s, k) => [s, curves[k][i].total]).filter(p => p[1] !== null);
    if (!points.length) return;
    svg.append(draw("polyline", {"stroke-dasharray": tested[first.system] ? "none" : "5 3",
      points: points.map(p => `${x(p[0]).toFixed(1)},${y(p[1]).toFixed(1)}`).join(" "), class: "g" + first.system % 9}));
    labels.push({at: y(points[points.length - 1][1]), system: first.system});
  });
  labels.sort((a, b) => a.at - b.at).forEach((l, i) => {
    l.put = i ? Math.max(l.at, labels[i - 1].put + 14) : l.at;
    svg.append(draw("circle", {cx: wide - right + 8, cy: l.put, r: 4, class: "g" + l.system % 9, "stroke-width": 0}));
    svg.append(draw("text", {x: wide - right + 16, y: l.put + 4}, shorten(card.systems[l.system].name, Math.floor(right / 7.2))));
  });
  byId("sensitivity").replaceChildren(svg);
}

// The month's cost for the reader's volume, in the table and in the ranking.
function price() {
  card.rows.forEach((row, r) => {
    if (!row.id.startsWith("price.month.")) return;
    const known = [];
    row.cells.forEach((cell, c) => {
      const offer = card.offers[c];
      if (cell.kind === "unknown" || !offer || offer.currency !== row.unit) return;
      cell.value = month(state.volume, offer);
      known.push(cell.value);
      const td = table.querySelector(`td[data-r="${r}"][data-c="${c}"]`);
      ["en", "fr"].forEach(lang => {
        const shown = td.querySelector(`[lang=${lang}]`) || td;
        shown.textContent = cell.value.toLocaleString(lang === "fr" ? "fr-FR" : "en-US", {minimumFractionDigits: 2, maximumFractionDigits: 2});
      });
    });
    row.cells.forEach((cell, c) => table.querySelector(`td[data-r="${r}"][data-c="${c}"]`)
      .classList.toggle("best", new Set(known).size > 1 && cell.value === Math.min(...known)));
  });
}

// What the reader moves, presses and types; the address of the page keeps it.
const table = byId("table");
const same = (a, b) => Object.keys(a).every(k => a[k] === b[k]);

function remember() {
  const hidden = state.shown.map((on, i) => on ? -1 : i).filter(i => i >= 0).join(",");
  const volume = same(state.volume, card.volume) ? "" : "&volume=" + Object.values(state.volume).join(",");
  history.replaceState(null, "", `#w=${groups.map(g => g + ":" + state.weights[g]).join(",")}${hidden ? "&without=" + hidden : ""}`
    + `${state.shared ? "&shared=1" : ""}&missing=${state.missing}${volume}&lang=${root.lang}`);
}
function refresh() {
  price();
  rank();
  firsts();
  sensitivity();
  for (const cell of document.querySelectorAll("[data-c]")) cell.classList.toggle("hidden", !state.shown[cell.dataset.c]);
}
function changed() { refresh(); remember(); }

const KINDS = {measured: ["measured by this tool", "mesuré par cet outil"],
  estimated: ["estimated: reckoned from other figures", "estimé : calculé d'après d'autres chiffres"],
  reported: ["reported by others", "rapporté par d'autres"], declared: ["declared", "déclaré"], unknown: ["unknown", "inconnu"]};

function detail(td) {
  const row = card.rows[td.dataset.r], cell = row.cells[td.dataset.c];
  const facts = [
    [say("what", "quoi"), row.label[root.lang]], [say("system", "système"), card.systems[td.dataset.c].name],
    [say("kind", "nature"), say(...KINDS[cell.kind])],
    [say("value", "valeur"), cell.words ? cell.words[root.lang] : cell.value === null ? "" : `${cell.value} ${row.unit}`],
    ["95 %", cell.low === null ? "" : `[${cell.low}, ${cell.high}]`], ["n", cell.n || ""],
    [say("source", "source"), cell.source], [say("date", "date"), cell.date],
    [say("note", "note"), root.lang === "fr" && cell.note_fr || cell.note],
    [say("weighing", "pondération"), row.why_unranked || (counted.includes(row) ? "" : say("shown, not weighed", "affiché, non pondéré"))],
  ].filter(f => f[1] !== "");
  const list = document.createElement("dl");
  for (const [name, value] of facts) {
    list.append(Object.assign(document.createElement("dt"), {textContent: name}),
      Object.assign(document.createElement("dd"), {textContent: value}));
  }
  byId("facts").replaceChildren(list);
  byId("detail").hidden = false;
}
function close() { byId("detail").hidden = true; }

table.addEventListener("click", e => {
  const td = e.target.closest("td"), fold = e.target.closest("button[data-group]");
  if (td) { td.focus(); detail(td); }
  if (fold) unfold(fold, fold.getAttribute("aria-expanded") !== "true");
});
table.addEventListener("keydown", e => {
  const td = e.target.closest("td"), move = {ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0]}[e.key];
  if (e.key === "Escape") close();
  if (!td) return;
  if (e.key === "Enter" || e.key === " ") { detail(td); e.preventDefault(); }
  if (!move) return;
  let r = +td.dataset.r, c = +td.dataset.c, next;
  do { r += move[0]; c += move[1]; next = table.querySelector(`td[data-r="${r}"][data-c="${c}"]`); }
  while (next && !next.offsetParent);
  if (next) { next.tabIndex = 0; td.tabIndex = -1; next.focus(); if (!byId("detail").hidden) detail(next); e.preventDefault(); }
});
byId("close").addEventListener("click", close);
addEventListener("keydown", e => { if (e.key === "Escape") close(); });

// Evidence is folded until somebody asks for it; without a script, and on paper, it is all there.
function unfold(button, open) {
  button.setAttribute("aria-expanded", open);
  for (const row of table.querySelectorAll(`tr[data-of="${button.dataset.group}"]`)) row.classList.toggle("folded", !open);
}
for (const button of table.querySelectorAll("button[data-group]")) unfold(button, false);

const sliders = document.querySelectorAll("input[type=range]");
function showWeights() {
  for (const input of sliders) {
    input.value = state.weights[input.name];
    input.nextElementSibling.value = state.weights[input.name];
  }
}
function set(group, weight) {
  state.weights[group] = weight;
  showWeights();
  changed();
}
for (const input of sliders) input.addEventListener("input", () => set(input.name, +input.value));
byId("equal").addEventListener("click", () => { state.weights = equal(); showWeights(); changed(); });
for (const box of document.querySelectorAll("input[name=system]")) box.addEventListener("change", () => {
  state.shown[box.value] = box.checked;
  changed();
});
for (const radio of document.querySelectorAll("input[name=missing]")) radio.addEventListener("change", () => {
  state.missing = radio.value;
  changed();
});
byId("shared").addEventListener("change", e => { state.shared = e.target.checked; changed(); });
byId("plot").addEventListener("change", e => { state.plot = e.target.value; sensitivity(); });
const amounts = document.querySelectorAll("input[data-volume]");
const isShare = name => name.endsWith("_share");
function showVolume() {
  for (const input of amounts) input.value = state.volume[input.dataset.volume] * (isShare(input.dataset.volume) ? 100 : 1);
}
for (const input of amounts) input.addEventListener("input", () => {
  const most = isShare(input.dataset.volume) ? 100 : Infinity, value = input.valueAsNumber;
  if (!(value >= 0 && value <= most)) return;
  state.volume[input.dataset.volume] = value / (isShare(input.dataset.volume) ? 100 : 1);
  changed();
});
document.addEventListener("speak", changed);
addEventListener("resize", refresh);

const told = new URLSearchParams(location.hash.slice(1));
for (const pair of (told.get("w") || "").split(",")) {
  const [g, w] = pair.split(":");
  if (groups.includes(g) && w >= 0 && w <= 10) state.weights[g] = +w;
}
for (const i of (told.get("without") || "").split(",")) if (i !== "" && i in state.shown) state.shown[i] = false;
const volume = (told.get("volume") || "").split(",").map(Number);
if (volume.length === Object.keys(state.volume).length && volume.every(v => v >= 0))
  Object.keys(state.volume).forEach((name, i) => { state.volume[name] = isShare(name) ? clamp(volume[i]) : volume[i]; });
if (["worst", "ignore"].includes(told.get("missing"))) state.missing = told.get("missing");
state.shared = told.get("shared") === "1";
byId("shared").checked = state.shared;
byId("plot").value = state.plot;
document.querySelector(`input[name=missing][value=${state.missing}]`).checked = true;
for (const box of document.querySelectorAll("input[name=system]")) box.checked = state.shown[box.value];
showWeights();
showVolume();
const wanted = told.get("lang") || (navigator.language.startsWith("fr") ? "fr" : root.lang);
refresh();
if (wanted !== root.lang) document.querySelector(`[data-speak="${wanted === "fr" ? "fr" : "en"}"]`).click();

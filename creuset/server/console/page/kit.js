// Elements, words, numbers and calls: what every part of the page uses. Text goes in as text nodes, never as markup.

export const state = { words: { en: {}, fr: {} }, lang: "en", users: new Map(), projects: new Map(), session: null };

export const say = (key, slots = {}) =>
  (state.words[state.lang][key] ?? key).replace(/\{(\w+)\}/g, (_, name) => slots[name] ?? "");

export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.flat(9).filter(child => child !== null && child !== undefined));
  return made;
}

const locale = () => (state.lang === "fr" ? "fr-FR" : "en-GB");
export const number = value => value === null || value === undefined ? "–" : value.toLocaleString(locale());
export const day = seconds => seconds ? new Date(seconds * 1000).toLocaleDateString(locale(), { timeZone: "UTC" }) : "–";
export const moment = seconds => seconds ? new Date(seconds * 1000).toLocaleString(locale()) : "–";
// Costs come as exact decimals, and are added as whole millionths.
export const millionths = text => {
  const [whole, rest = ""] = String(text).replace("-", "").split(".");
  const found = BigInt(whole) * 1000000n + BigInt(rest.padEnd(6, "0").slice(0, 6));
  return String(text).startsWith("-") ? -found : found;
};
export const money = (amount, currency) => {
  const sign = amount < 0n ? "−" : "", value = amount < 0n ? -amount : amount;
  const digits = (value % 1000000n).toString().padStart(6, "0").replace(/0{1,4}$/, "");
  return `${sign}${(value / 1000000n).toLocaleString(locale())}${state.lang === "fr" ? "," : "."}${digits} ${currency ?? ""}`.trim();
};

export async function ask(path, options = {}) {
  const { body, method = body === undefined ? "GET" : "POST" } = options;
  const reply = await fetch(path, {
    method, credentials: "same-origin", cache: "no-store",
    headers: body === undefined ? {} : { "content-type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const value = await reply.json().catch(() => ({}));
  if (!reply.ok) {
    const error = new Error(value.error?.message ?? say("no answer", { status: reply.status }));
    error.status = reply.status;
    throw error;
  }
  return value;
}

export async function all(path) {
  const found = [];
  let after = "";
  for (let pages = 0; pages < 20; pages++) {
    const mark = path.includes("?") ? "&" : "?";
    const page = await ask(`${path}${mark}limit=100${after && `&after=${encodeURIComponent(after)}`}`);
    found.push(...page.data);
    if (!page.has_more || !page.data.length) break;
    after = page.last_id ?? page.data.at(-1).id;
  }
  return found;
}

export function tell(text, bad = false) {
  const said = document.getElementById("said");
  said.hidden = !text;
  said.className = bad ? "bad" : "";
  said.textContent = text;
}

/** Run what a button or a form asks for; say what went wrong. */
export const doing = work => async event => {
  event?.preventDefault?.();
  const from = event?.currentTarget;
  const button = from?.querySelector?.("button[type=submit]") ?? from;
  if (button) button.disabled = true;
  try { tell(""); await work(from); } catch (error) { tell(error.message, true); }
  if (button) button.disabled = false;
};

/** columns: [words, row => cell, numeric]; rows: objects. */
export function grid(caption, columns, rows) {
  if (!rows.length) return el("p", { class: "soft" }, say("nothing yet"));
  const head = columns.map(([words, , numeric]) => el("th", { scope: "col", class: numeric ? "n" : null }, words));
  const body = rows.map(row => el("tr", {}, columns.map(([, cell, numeric]) => el("td", { class: numeric ? "n" : null }, cell(row) ?? "–"))));
  return el("div", { class: "wide", tabindex: "0", role: "region", "aria-label": caption },
    el("table", {}, el("caption", {}, caption), el("thead", {}, el("tr", {}, head)), el("tbody", {}, body)));
}

export const field = (words, input) => el("label", {}, words, input);
export const input = (name, more = {}) => el("input", { name, ...more });
export const choice = (name, options, more = {}) =>
  el("select", { name, ...more }, options.map(([value, words]) => el("option", { value, selected: more.value === value }, words)));
export const submit = words => el("button", { type: "submit", class: "primary" }, words);
export const button = (words, work, more = {}) => el("button", { type: "button", onclick: doing(work), ...more }, words);
export const values = form => Object.fromEntries([...new FormData(form)].filter(([, value]) => value !== ""));

/** A button that asks once more before it does something that cannot be taken back. */
export function twice(words, work) {
  const made = button(words, async () => {
    if (made.dataset.sure) return work();
    made.dataset.sure = "yes";
    made.textContent = say("sure");
    setTimeout(() => { delete made.dataset.sure; made.textContent = words; }, 5000);
  }, { class: "danger" });
  return made;
}

export const secret = value => el("p", { class: "secret", role: "alert" }, say("key once"), " ", el("code", { class: "mono" }, value));
export const person = id => state.users.get(id)?.email ?? id ?? "–";
export const project = id => state.projects.get(id)?.name ?? id ?? "–";

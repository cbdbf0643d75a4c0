// What was used and what it cost, limits with what is spent of them, speed and errors, models, the audit log.

import {
  all, ask, choice, day, doing, el, field, grid, input, millionths, moment, money, number, person, project, say, state,
  submit, twice, values,
} from "/admin/kit.js";

const chosen = { days: "30", by: "user" };
const OURS = "/v1/creuset/organization";

export async function spending() {
  const { data } = await ask(`${OURS}/spending?days=${chosen.days}`);
  const box = el("div");
  const groups = {
    user: row => row.user_id ? person(row.user_id) : row.service_account_id ?? row.api_key_id,
    project: row => project(row.project_id), model: row => row.model, key: row => row.api_key_id, day: row => day(row.day),
  };
  const draw = () => {
    const sums = new Map();
    for (const row of data) {
      const name = groups[chosen.by](row), id = `${name}\n${row.currency ?? ""}`;
      const sum = sums.get(id) ?? { name, at: row.day, currency: row.currency, requests: 0, input: 0, cached: 0, output: 0, cost: 0n };
      for (const count of ["requests", "input", "cached", "output"]) sum[count] += row[count];
      sum.cost += millionths(row.cost);
      sums.set(id, sum);
    }
    const rows = [...sums.values()].sort((a, b) =>
      chosen.by === "day" ? a.at - b.at : b.cost > a.cost ? 1 : b.cost < a.cost ? -1 : b.requests - a.requests);
    const most = rows.reduce((top, row) => row.cost > top ? row.cost : top, 1n);
    const totals = new Map();
    for (const row of rows) totals.set(row.currency, (totals.get(row.currency) ?? 0n) + row.cost);
    const total = [...totals].filter(([, sum]) => sum).map(([currency, sum]) => money(sum, currency)).join(" + ") || "0";
    box.replaceChildren(
      el("p", {}, say("total"), " ", el("strong", { id: "total" }, total)),
      grid(say("spending caption"), [
        [say(`by ${chosen.by}`), row => row.name], [say("requests"), row => number(row.requests), true],
        [say("input"), row => number(row.input), true], [say("cached"), row => number(row.cached), true],
        [say("output"), row => number(row.output), true], [say("cost"), row => money(row.cost, row.currency), true],
        [say("share"), row => el("meter", { min: 0, max: 1, value: Number(row.cost) / Number(most), "aria-label": say("share") })],
      ], rows));
  };
  const pick = (name, options) => field(say(name), choice(name, options, { value: chosen[name] }));
  const form = el("form", { onchange: async event => {
    const again = event.target.name === "days";
    chosen[event.target.name] = event.target.value;
    if (again) data.splice(0, Infinity, ...(await ask(`${OURS}/spending?days=${chosen.days}`)).data);
    draw();
  } },
    pick("days", ["1", "7", "30", "90", "365"].map(value => [value, say("days n", { n: value })])),
    pick("by", Object.keys(groups).map(name => [name, say(`by ${name}`)])));
  form.addEventListener("submit", event => event.preventDefault());
  draw();
  return [form, box];
}

export async function limits(again) {
  const [{ data }, groups] = await Promise.all([ask(`${OURS}/limits`), all("/v1/organization/groups")]);
  const named = new Map(groups.map(one => [one.id, one.name]));
  const subject = one => one.kind === "organization" ? say("kind organization")
    : one.kind === "user" ? person(one.subject) : one.kind === "project" ? project(one.subject)
    : named.get(one.subject) ?? (one.subject === "*" ? say("each") : one.subject);
  const amount = (one, value) => one.what === "money" ? money(millionths(value), one.currency) : number(value);
  const spent = one => one.spent.reduce((sum, part) => sum + Number(part.spent), 0);
  const write = state.session.scopes.includes("admin.write");
  const table = grid(say("limits caption"), [
    [say("whose"), one => [el("span", { class: "soft" }, say(`kind ${one.kind}`)), " ", subject(one)]],
    [say("what"), one => say(`what ${one.what}`)], [say("window"), one => one.window ? say(`window ${one.window}`) : "–"],
    [say("model"), one => one.model ?? say("all models")],
    [say("amount"), one => one.amount === null ? say("unlimited") : amount(one, one.amount), true],
    [say("spent"), one => one.spent.length ? [one.spent.length > 1 ? number(one.spent.length) + " × " : "", amount(one, one.what === "money" ? one.spent[0].spent : spent(one)), " ",
      one.amount ? el("meter", { min: 0, max: 1, high: 0.8, value: Math.min(1, spent(one) / Number(one.amount)), "aria-label": say("spent") }) : null] : "–", true],
    ...(write ? [["", one => twice(say("delete"), async () => { await ask(`${OURS}/limits/${one.id}`, { method: "DELETE" }); await again(); })]] : []),
  ], data);
  if (!write) return [table];
  const subjects = [
    ["organization:", say("kind organization")],
    ...[...state.projects.values()].map(one => [`project:${one.id}`, `${say("kind project")}: ${one.name}`]),
    ...[...state.users.values()].map(one => [`user:${one.id}`, `${say("kind user")}: ${one.email}`]),
    ...groups.map(one => [`group:${one.id}`, `${say("kind group")}: ${one.name}`]),
    ...["key", "user", "project"].map(kind => [`${kind}:*`, `${say(`kind ${kind}`)}: ${say("each")}`]),
  ];
  const form = el("form", { "aria-label": say("new limit"), onsubmit: doing(async from => {
    const { whose, ...given } = values(from), [kind, id] = whose.split(":");
    if (given.what === "concurrent") delete given.window;
    await ask(`${OURS}/limits`, { body: { kind, subject: id, ...given } });
    await again();
  }) },
    field(say("whose"), choice("whose", subjects)),
    field(say("what"), choice("what", ["money", "requests", "tokens", "concurrent"].map(one => [one, say(`what ${one}`)]))),
    field(say("window"), choice("window", ["month", "day", "hour", "minute", "total"].map(one => [one, say(`window ${one}`)]))),
    field(say("amount"), input("amount", { required: true, inputmode: "decimal", pattern: "[0-9]+([.][0-9]{1,6})?" })),
    field(say("currency"), input("currency", { maxlength: 3, size: 4, placeholder: "USD" })),
    submit(say("set")));
  return [el("h2", {}, say("new limit")), form, el("h2", {}, say("limits caption")), table];
}

export async function speed() {
  const found = await ask(`${OURS}/traffic`);
  const time = value => value === null ? "–" : say("ms", { n: number(value) });
  return [
    el("p", { class: "soft" }, say("speed note", { since: moment(found.since), last: number(found.last) })),
    grid(say("speed caption"), [
      [say("route"), row => el("code", {}, row.route)], [say("model"), row => row.model],
      [say("requests"), row => number(row.requests), true], [say("p50"), row => time(row.p50_ms), true],
      [say("p95"), row => time(row.p95_ms), true],
      [say("errors"), row => row.errors ? el("span", { class: "bad" }, `${number(row.errors)} (${number(Math.round(1000 * row.errors / row.requests) / 10)} %)`) : "0", true],
      [say("statuses"), row => Object.entries(row.statuses).map(([status, n]) => `${status}: ${number(n)}`).join(", ")],
    ], found.data),
  ];
}

export async function models() {
  const [{ data }, calls] = await Promise.all([ask("/v1/models"), ask(`${OURS}/names`)]);
  return [
    grid(say("models caption"), [
      [say("model"), one => el("code", {}, one.id)], [say("deprecated"), one => one.deprecation_date],
      [say("ends"), one => one.shutdown_date], [say("successor"), one => one.successor],
    ], data),
    el("h2", {}, say("callers caption")),
    grid(say("callers caption"), [
      [say("model"), one => el("code", {}, one.model)], [say("deprecated"), one => one.deprecation_date],
      [say("ends"), one => one.shutdown_date], [say("successor"), one => one.successor], [say("by user"), one => person(one.user_id)],
      [say("by project"), one => project(one.project_id)], [say("by key"), one => one.api_key_id],
      [say("requests"), one => number(one.calls), true], [say("refused"), one => number(one.refused), true],
      [say("last"), one => moment(one.last)],
    ], calls.data),
  ];
}

export async function audit() {
  const box = el("tbody"), more = el("button", { type: "button" }, say("more"));
  let after = "";
  const actor = one => one.actor.session?.user?.email ?? (one.actor.session?.user?.id && person(one.actor.session.user.id)) ?? one.actor.api_key?.user?.email
    ?? person(one.actor.api_key?.user?.id) ?? one.actor.api_key?.id ?? "–";
  const load = async () => {
    const page = await ask(`/v1/organization/audit_logs?limit=50${after && `&after=${encodeURIComponent(after)}`}`);
    for (const one of page.data)
      box.append(el("tr", {}, el("td", {}, moment(one.effective_at)), el("td", {}, el("code", {}, one.type)),
        el("td", {}, actor(one)), el("td", {}, el("code", {}, JSON.stringify(one[one.type] ?? {}).slice(0, 300)))));
    after = page.last_id ?? "";
    more.hidden = !page.has_more;
  };
  more.onclick = doing(load);
  await load();
  const head = ["when", "event", "actor", "what"].map(name => el("th", { scope: "col" }, say(name)));
  return [el("div", { class: "wide", tabindex: "0", role: "region", "aria-label": say("part audit") },
    el("table", {}, el("caption", {}, say("audit caption")), el("thead", {}, el("tr", {}, head)), box)), more];
}

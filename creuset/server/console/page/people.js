// People, groups, projects and keys: seen, made and taken away.

import {
  all, ask, choice, day, doing, el, field, grid, input, person, say, secret, state, submit, twice, values,
} from "/admin/kit.js";

const AT = "/v1/organization";
const writes = () => state.session.scopes.includes("admin.write");
const open = { project: "" };

async function reread() {
  state.users = new Map((await all(`${AT}/users`)).map(one => [one.id, one]));
  state.projects = new Map((await all(`${AT}/projects`)).map(one => [one.id, one]));
}

export async function people(again) {
  const [invites, groups] = await Promise.all([all(`${AT}/invites`), all(`${AT}/groups`)]);
  const members = new Map(await Promise.all(groups.map(async one => [one.id, await all(`${AT}/groups/${one.id}/users`)])));
  const made = el("div");
  const after = work => doing(async from => { await work(from); await reread(); await again(); });
  const drop = path => async () => { await ask(path, { method: "DELETE" }); await reread(); await again(); };
  const users = [...state.users.values()];
  const invite = el("form", { "aria-label": say("invite"), onsubmit: doing(async from => {
    const told = await ask(`${AT}/invites`, { body: values(from) });
    made.replaceChildren(el("p", { class: "secret", role: "alert" }, say("invite once"), " ", el("code", { class: "mono" }, told.token)));
    from.reset();
  }) },
    field(say("address"), input("email", { type: "email", required: true })),
    field(say("role"), choice("role", [["reader", say("role reader")], ["owner", say("role owner")]])), submit(say("invite")));
  const found = el("form", { "aria-label": say("new group"), onsubmit: after(from => ask(`${AT}/groups`, { body: values(from) })) },
    field(say("name"), input("name", { required: true })), submit(say("new group")));
  const join = el("form", { "aria-label": say("join"), onsubmit: after(from => {
    const { group, user } = values(from);
    return ask(`${AT}/groups/${group}/users`, { body: { user_id: user } });
  }) },
    field(say("by user"), choice("user", users.map(one => [one.id, one.email]))),
    field(say("group"), choice("group", groups.map(one => [one.id, one.name]))), submit(say("join")));
  return [
    grid(say("people caption"), [
      [say("address"), one => one.email], [say("name"), one => one.name || "–"], [say("role"), one => say(`role ${one.role}`)],
      [say("groups"), one => groups.filter(group => members.get(group.id).some(user => user.id === one.id)).map(group => group.name).join(", ") || "–"],
      [say("since"), one => day(one.added_at)],
      ...(writes() ? [["", one => one.id === state.session.user?.id ? "" : twice(say("remove"), drop(`${AT}/users/${one.id}`))]] : []),
    ], users),
    ...(writes() ? [invite, made] : []),
    el("h2", {}, say("invites")),
    grid(say("invites"), [
      [say("address"), one => one.email], [say("role"), one => say(`role ${one.role}`)], [say("state"), one => say(`state ${one.status}`)],
      [say("until"), one => day(one.expires_at)],
      ...(writes() ? [["", one => twice(say("delete"), drop(`${AT}/invites/${one.id}`))]] : []),
    ], invites),
    el("h2", {}, say("groups")),
    grid(say("groups"), [
      [say("name"), one => one.name], [say("people caption"), one => members.get(one.id).map(user => user.email).join(", ") || "–"],
      ...(writes() ? [["", one => twice(say("delete"), drop(`${AT}/groups/${one.id}`))]] : []),
    ], groups),
    ...(writes() ? [found, groups.length ? join : null] : []),
  ].filter(Boolean);
}

export async function projects(again) {
  const every = [...state.projects.values()];
  if (!state.projects.has(open.project)) open.project = every.find(one => one.status === "active")?.id ?? "";
  const one = `${AT}/projects/${open.project}`, made = el("div");
  const [keys, members, accounts] = open.project
    ? await Promise.all([all(`${one}/api_keys`), all(`${one}/users`), all(`${one}/service_accounts`)]) : [[], [], []];
  const again_ = async () => { await reread(); await again(); };
  const fresh = el("form", { "aria-label": say("new project"), onsubmit: doing(async from => {
    open.project = (await ask(`${AT}/projects`, { body: values(from) })).id;
    await again_();
  }) }, field(say("name"), input("name", { required: true })), submit(say("new project")));
  const pick = el("form", { onsubmit: event => event.preventDefault() },
    field(say("by project"), choice("project", every.map(one => [one.id, one.name + (one.status === "active" ? "" : ` (${say("archived")})`)]),
      { value: open.project, onchange: doing(async from => { open.project = from.value; await again(); }) })),
    writes() && open.project ? twice(say("archive"), async () => { await ask(`${one}/archive`, { body: {} }); await again_(); }) : null);
  const show = async (work, from) => {
    const told = await work;
    await again();
    document.getElementById("made").replaceChildren(secret(told));
    from.reset();
  };
  const mine = el("form", { "aria-label": say("own key"), onsubmit: doing(async from => {
    const { days, ...given } = values(from);
    const body = { ...given, project: open.project, ...(days ? { expires_in_seconds: 86400 * Number(days) } : {}) };
    await show(ask("/v1/creuset/keys", { body }).then(told => told.value), from);
  }) },
    field(say("name"), input("name", { required: true })), field(say("lasts"), input("days", { type: "number", min: 1, max: 3650 })),
    submit(say("own key")));
  const program = el("form", { "aria-label": say("program key"), onsubmit: doing(async from => {
    await show(ask(`${one}/service_accounts`, { body: values(from) }).then(told => told.api_key.value), from);
  }) }, field(say("program"), input("name", { required: true })), submit(say("program key")));
  const add = el("form", { "aria-label": say("add member"), onsubmit: doing(async from => { await ask(`${one}/users`, { body: values(from) }); await again(); }) },
    field(say("by user"), choice("user_id", [...state.users.values()].map(one => [one.id, one.email]))),
    field(say("role"), choice("role", [["member", say("role member")], ["owner", say("role owner")]])), submit(say("add member")));
  made.id = "made";
  const owner = key => key.owner.user ? person(key.owner.user.id) : `${key.owner.service_account?.name} (${say("program")})`;
  return [
    pick, ...(writes() ? [fresh] : []),
    ...(open.project ? [
      el("h2", {}, say("keys")), made,
      grid(say("keys caption"), [
        [say("name"), key => key.name], [say("by key"), key => el("code", {}, key.redacted_value)], [say("by user"), owner],
        [say("since"), key => day(key.created_at)], [say("last"), key => day(key.last_used_at)], [say("until"), key => day(key.expires_at)],
        ...(writes() ? [["", key => twice(say("revoke"), async () => { await ask(`${one}/api_keys/${key.id}`, { method: "DELETE" }); await again(); })]] : []),
      ], keys),
      mine, ...(writes() ? [program] : []),
      el("h2", {}, say("members")),
      grid(say("members"), [
        [say("address"), user => user.email], [say("role"), user => say(`role ${user.role}`)],
        ...(writes() ? [["", user => twice(say("remove"), async () => { await ask(`${one}/users/${user.id}`, { method: "DELETE" }); await again(); })]] : []),
      ], members),
      ...(writes() ? [add] : []),
      el("h2", {}, say("programs")),
      grid(say("programs"), [
        [say("name"), account => account.name], [say("role"), account => say(`role ${account.role}`)], [say("since"), account => day(account.created_at)],
        ...(writes() ? [["", account => twice(say("delete"), async () => { await ask(`${one}/service_accounts/${account.id}`, { method: "DELETE" }); await again(); })]] : []),
      ], accounts),
    ] : []),
  ];
}

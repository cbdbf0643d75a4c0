// Who is signed on, which part of the page is open, in which language. The parts themselves are in people.js and money.js.

import { all, ask, doing, el, field, input, say, state, submit, tell, values } from "/admin/kit.js";
import { audit, limits, models, spending, speed } from "/admin/money.js";
import { people, projects } from "/admin/people.js";

const PARTS = { spending, limits, people, projects, speed, models, audit };
const root = document.documentElement, main = document.getElementById("main"), tabs = document.getElementById("tabs");
const leave = document.getElementById("leave"), light = document.getElementById("light");
const keep = (name, value) => { try { localStorage.setItem(`creuset.${name}`, value); } catch { /* not kept */ } };
const kept = name => { try { return localStorage.getItem(`creuset.${name}`); } catch { return null; } };

const dark = () => root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
if (["light", "dark"].includes(kept("theme"))) root.dataset.theme = kept("theme");
light.onclick = () => { root.dataset.theme = dark() ? "light" : "dark"; keep("theme", root.dataset.theme); };

function speak(lang) {
  state.lang = root.lang = lang;
  for (const one of document.querySelectorAll("[data-speak]")) one.setAttribute("aria-pressed", one.dataset.speak === lang);
  light.setAttribute("aria-label", say("light or dark"));
  leave.textContent = say("sign off");
  document.getElementById("skip").textContent = say("to the content");
  tabs.setAttribute("aria-label", say("parts"));
  document.title = say("title");
}
for (const one of document.querySelectorAll("[data-speak]"))
  one.onclick = () => { keep("lang", one.dataset.speak); speak(one.dataset.speak); open(); };

const part = () => (location.hash.slice(1) in PARTS ? location.hash.slice(1) : "spending");

async function open() {
  if (!state.session) return signOn();
  tabs.replaceChildren(...Object.keys(PARTS).map(name =>
    el("a", { href: `#${name}`, "aria-current": name === part() ? "page" : null }, say(`part ${name}`))));
  tabs.hidden = leave.hidden = false;
  const name = part();
  main.setAttribute("aria-busy", "true");
  delete main.dataset.part;
  try {
    const shown = await PARTS[name](open);
    if (name === part()) main.replaceChildren(el("h1", {}, say(`part ${name}`)), ...shown);
  } catch (error) {
    if (error.status === 401) { state.session = null; return signOn(); }
    main.replaceChildren(el("h1", {}, say(`part ${name}`)), el("p", { class: "missing" }, error.message));
  }
  main.removeAttribute("aria-busy");
  main.dataset.part = name;
}

function signOn() {
  tabs.hidden = leave.hidden = true;
  const form = el("form", { class: "sign", onsubmit: doing(async from => {
    await ask("/auth/login", { body: values(from) });
    await begin();
  }) },
    field(say("address"), input("email", { type: "email", required: true, autocomplete: "username" })),
    field(say("password"), input("password", { type: "password", required: true, autocomplete: "current-password" })),
    submit(say("sign on")));
  main.replaceChildren(el("h1", {}, say("title")), form,
    el("p", {}, el("a", { href: "/auth/oidc/login" }, say("sign on elsewhere"))));
  main.removeAttribute("aria-busy");
  form.querySelector("input").focus();
}

async function begin() {
  try {
    state.session = await ask("/auth/session");
  } catch (error) {
    state.session = null;
    if (error.status !== 401) {
      main.replaceChildren(el("h1", {}, say("title")), el("p", { class: "missing" }, say("no directory")));
      return;
    }
    return signOn();
  }
  const may = name => state.session.scopes.includes(name);
  if (may("admin.read")) {
    const [users, projects] = await Promise.all([all("/v1/organization/users"), all("/v1/organization/projects")]);
    state.users = new Map(users.map(one => [one.id, one]));
    state.projects = new Map(projects.map(one => [one.id, one]));
  }
  document.getElementById("of").textContent = `creuset · ${state.session.user?.email ?? state.session.organization}`;
  await open();
}

leave.onclick = doing(async () => { await ask("/auth/logout", { body: {} }); state.session = null; signOn(); });
addEventListener("hashchange", () => { tell(""); open().then(() => main.focus()); });

state.words = await (await fetch("/admin/words.json")).json();
speak(["en", "fr"].includes(kept("lang")) ? kept("lang") : navigator.language.startsWith("fr") ? "fr" : "en");
await begin();

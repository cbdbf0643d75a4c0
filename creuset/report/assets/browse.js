"use strict";
// The browser of samples: rows come packed in the page and are unpacked when their task is chosen; of the list only
// what is in sight exists. Everything that was said by a model or a file becomes a text node, never HTML.
(() => {
  const at = id => document.getElementById(id);
  const list = at("list"), room = list?.firstElementChild, detail = at("detail"), count = at("count");
  if (!list) return;
  const HEIGHT = 44, SPARE = 6;
  const words = JSON.parse(at("words").textContent);
  const say = name => words[name]?.[document.documentElement.lang === "fr" ? 1 : 0] ?? name;
  const make = (name, className = "", text = "") => {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text !== "") made.textContent = text;
    return made;
  };

  const tasks = new Map();          // name -> rows, once unpacked
  let task = "", rows = [], shown = [], chosen = -1, filter = "all";

  const unpack = async name => {
    if (!tasks.has(name)) {
      const packed = at("rows-" + name).textContent;
      const bytes = Uint8Array.from(atob(packed), c => c.charCodeAt(0));
      const text = await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
      tasks.set(name, JSON.parse(text).map(row => ({ row, low: null })));
    }
    return tasks.get(name);
  };

  const right = row => row.correct == null ? null : Number(row.correct) >= 1;
  const flip = (row, first, second) => row.b && right(row) === first && right(row.b) === second;
  const tests = {
    all: () => true,
    right: row => right(row) === true,
    wrong: row => right(row) === false,
    failed: row => Boolean(row.failed),
    unextracted: row => row.extracted === false && !row.failed,
    flips: row => row.b && right(row) !== right(row.b),
    only_a: row => flip(row, true, false),
    only_b: row => flip(row, false, true),
    neither: row => flip(row, false, false),
  };
  const amount = n => String(n).replace(/\B(?=(\d{3})+$)/g, "\u202f");     // as the tables write it
  const low = one => one.low ??= JSON.stringify(one.row).toLowerCase();

  const sift = () => {
    // JSON escapes what it must: the sought text is escaped alike.
    const sought = JSON.stringify(at("seek").value.trim().toLowerCase()).slice(1, -1);
    shown = rows.filter(one => tests[filter](one.row) && (!sought || low(one).includes(sought))).map(one => one.row);
    room.style.height = shown.length * HEIGHT + "px";
    count.textContent = shown.length === rows.length ? amount(rows.length) : `${amount(shown.length)} / ${amount(rows.length)}`;
    list.scrollTop = 0;
    choose(shown.length ? 0 : -1);
  };

  const brief = value => {
    const text = typeof value === "string" ? value : value == null ? "" : JSON.stringify(value);
    return text.length > 120 ? text.slice(0, 120) + "…" : text;
  };
  const mood = row => row.failed ? "failed" : right(row) === null ? "" : right(row) ? "right" : "wrong";
  const gist = row => row.hidden ? say("hidden") : row.b ? `${say(mood(row) || "none")} → ${say(mood(row.b) || "none")}`
    : [row.answer, row.gold].every(v => v == null) ? brief(row.prompt ?? row.text ?? Object.values(row).join("  "))
    : `${brief(row.extracted === false ? say("nothing") : row.answer)}  ·  ${say("gold")} ${brief(row.gold)}`;

  const draw = () => {
    const first = Math.max(0, Math.floor(list.scrollTop / HEIGHT) - SPARE);
    const last = Math.min(shown.length, first + Math.ceil(list.clientHeight / HEIGHT) + 2 * SPARE);
    room.replaceChildren(...shown.slice(first, last).map((row, i) => {
      const item = make("div", "item " + mood(row.b && right(row) !== right(row.b) ? row.b : row));
      item.id = "item-" + (first + i);
      item.role = "option";
      item.style.top = (first + i) * HEIGHT + "px";
      item.setAttribute("aria-selected", first + i === chosen);
      item.setAttribute("aria-setsize", shown.length);
      item.setAttribute("aria-posinset", first + i + 1);
      item.append(make("b", "", String(row.id ?? first + i)), make("span", "", gist(row)));
      item.onclick = () => { choose(first + i); list.focus(); };
      return item;
    }));
  };

  const choose = index => {
    chosen = index;
    if (index >= 0) {
      const top = index * HEIGHT;
      if (top < list.scrollTop) list.scrollTop = top;
      else if (top + HEIGHT > list.scrollTop + list.clientHeight) list.scrollTop = top + HEIGHT - list.clientHeight;
      list.setAttribute("aria-activedescendant", "item-" + index);
    } else list.removeAttribute("aria-activedescendant");
    draw();
    detail.replaceChildren(...(index >= 0 ? pane(shown[index]) : [make("p", "soft", say("none_here"))]));
    detail.scrollTop = 0;
    for (const pre of detail.querySelectorAll("pre.asked")) pre.scrollTop = pre.scrollHeight;   // the question stands last
  };

  // One sample.
  const block = (title, value, sought = "", kind = "") => {
    const pre = make("pre", kind), text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
    const found = sought ? text.lastIndexOf(sought) : -1;
    if (found < 0) pre.textContent = text;
    else pre.append(text.slice(0, found), make("mark", "", sought), text.slice(found + sought.length));
    if (text === "") pre.append(make("span", "soft", say("empty")));
    return [make("h3", "", title), pre];
  };
  const conversation = prompt => typeof prompt === "string" ? block(say("prompt"), prompt, "", "asked")
    : (prompt ?? []).flatMap(message => block(`${say("prompt")}: ${message.role ?? ""}`, message.content ?? message, "", "asked"));
  const grid = (head, lines) => {
    const wide = make("div", "wide"), table = make("table"), top = table.createTHead().insertRow();
    head.forEach((title, i) => top.append(make("th", i === 1 || i === 2 ? "n" : "", title)));
    const body = table.createTBody();
    for (const [cells, kind] of lines) {
      const line = body.insertRow();
      line.className = kind ?? "";
      cells.forEach((cell, i) => line.append(make("td", i === 1 || i === 2 ? "n" : i ? "" : "name", cell)));
    }
    wide.append(table);
    return wide;
  };
  const number = value => typeof value !== "number" ? String(value ?? "") : Number.isInteger(value) ? String(value) : value.toFixed(3);

  const choices = row => {
    const texts = row.choices ?? row.pairs?.map(pair => Array.isArray(pair) ? pair.join("") : JSON.stringify(pair));
    if (!texts) return [];
    const said = row.outcomes ?? [];
    // Tasks name a choice by its number or by its letter.
    const place = value => typeof value === "string" && /^[A-Z]$/.test(value) ? value.charCodeAt(0) - 65 : value;
    const [gold, answer] = [place(row.gold), place(row.answer)];
    const lines = texts.map((text, i) => [
      [text, said[i]?.kind === "failure" ? say("failed") : number(said[i]?.total), number(said[i]?.tokens),
        [gold === i ? say("gold") : "", answer === i ? say("answer") : ""].filter(Boolean).join(", ")],
      answer === i ? "chosen" : ""]);
    return [make("h3", "", say("choices")), grid([say("continuation"), "ln p", say("tokens"), ""], lines)];
  };

  const reply = (outcome, row) => {
    if (outcome.kind === "failure")
      return block(`${say("failed")}: ${outcome.reason}`, outcome.detail || outcome.reason);
    if (outcome.kind === "likelihood") return [];
    const about = [outcome.finish, outcome.completion_tokens && `${outcome.completion_tokens} ${say("tokens")}`,
      outcome.seconds && `${outcome.seconds.toFixed(2)} s`, outcome.attempts > 1 && `${outcome.attempts} ${say("attempts")}`,
      outcome.model].filter(Boolean).join(" · ");
    const sought = typeof row.answer === "string" && row.extracted !== false ? row.answer : "";
    return [
      ...(outcome.reasoning ? block(say("reasoning"), outcome.reasoning) : []),
      ...block(`${say("reply")}  (${about})`, outcome.text ?? "", sought === outcome.text ? "" : sought),
      ...(outcome.warnings ?? []).map(text => make("p", "warn", text)),
    ];
  };

  const verdict = row => {
    const facts = make("dl", "facts");
    const fact = (name, value, kind) => {
      if (value === undefined || value === null || value === "") return;
      facts.append(make("dt", "", name), make("dd", kind ?? "", typeof value === "string" ? value : JSON.stringify(value)));
    };
    if (row.correct != null)
      fact(say("verdict"), [0, 1].includes(Number(row.correct)) ? say(mood(row)) : number(row.correct),
        right(row) ? "good" : "bad");
    fact(say("answer"), row.extracted === false ? say("nothing") : row.answer, row.extracted === false ? "warn" : "mono");
    fact(say("gold"), row.gold, "mono");
    const known = ["id", "cluster", "correct", "answer", "gold", "extracted", "failed", "hidden", "prompt", "prompts",
      "choices", "pairs", "outcomes", "b", "text"];
    for (const name of Object.keys(row).filter(name => !known.includes(name)).sort()) fact(name, row[name], "mono");
    return facts;
  };
  const answers = row => [...(row.outcomes ?? []).flatMap(outcome => reply(outcome, row)), verdict(row)];

  const pane = row => {
    const head = make("p", "soft mono", [task, row.id, row.cluster].filter(v => v !== undefined && v !== "").join("  ·  "));
    if (row.hidden) return [head, make("p", "note", say("hidden_why")), verdict(row)];
    const asked = [
      ...(row.prompt !== undefined ? conversation(row.prompt) : []),
      ...(row.prompts ?? []).flatMap(conversation),
      ...(row.text !== undefined ? block(say("text"), row.text) : []),
    ];
    if (!row.b) return [head, ...asked, ...choices(row), ...answers(row)];
    const pair = make("div", "pair");
    for (const [name, one] of [["A", row], ["B", { ...row, b: undefined, ...row.b }]]) {
      const side = make("div");
      side.append(make("h3", "", `${name}: ${words["name_" + name.toLowerCase()]?.[0] ?? name}`), ...choices(one), ...answers(one));
      pair.append(side);
    }
    return [head, ...asked, pair];
  };

  // What is asked of the page.
  const open = async (name, id) => {
    task = name;
    at("task").value = name;
    count.textContent = say("unpacking");
    try { rows = await unpack(name); }
    catch (error) { rows = []; count.textContent = String(error); return; }
    if (task !== name) return;
    sift();
    const index = id === undefined ? -1 : shown.findIndex(row => String(row.id) === id);
    if (index >= 0) choose(index);
  };
  at("task").onchange = event => open(event.target.value);
  let waiting;
  at("seek").oninput = () => { clearTimeout(waiting); waiting = setTimeout(sift, 120); };
  for (const button of document.querySelectorAll("[data-filter]"))
    button.onclick = () => {
      filter = button.dataset.filter;
      for (const other of document.querySelectorAll("[data-filter]")) other.setAttribute("aria-pressed", other === button);
      sift();
    };
  let frame = 0;
  list.onscroll = () => { cancelAnimationFrame(frame); frame = requestAnimationFrame(draw); };
  addEventListener("resize", draw);
  const moves = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity };
  document.addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = ["INPUT", "SELECT", "TEXTAREA"].includes(event.target.tagName);
    if (event.key === "/" && !typing) { event.preventDefault(); at("seek").focus(); }
    else if (event.key === "Escape" && event.target === at("seek")) list.focus();
    else if (!typing && event.key in moves && shown.length && (event.target === list || "jk".includes(event.key))) {
      event.preventDefault();
      choose(Math.max(0, Math.min(shown.length - 1, chosen + moves[event.key])));
    }
  });
  document.addEventListener("speak", () => { draw(); if (chosen >= 0) choose(chosen); });

  const go = () => {
    const wanted = decodeURIComponent(location.hash.slice(1)), [name, ...rest] = wanted.split("/");
    const names = [...at("task").options].map(option => option.value);
    if (names.includes(name)) { open(name, rest.join("/")); at("browse").scrollIntoView(); }
    else if (!task) open(names[0]);
  };
  addEventListener("hashchange", go);
  go();
})();

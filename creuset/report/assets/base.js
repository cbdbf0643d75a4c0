"use strict";
// What every page does: language, light or dark, sorted tables, rows that open. No text is ever put in as HTML.
(() => {
  const root = document.documentElement;
  const keep = (name, value) => { try { localStorage.setItem("creuset." + name, value); } catch { /* a file may keep nothing */ } };
  const kept = name => { try { return localStorage.getItem("creuset." + name); } catch { return null; } };

  const speak = lang => {
    root.dataset.lang = root.lang = lang;
    for (const button of document.querySelectorAll("[data-speak]"))
      button.setAttribute("aria-pressed", button.dataset.speak === lang);
    for (const item of document.querySelectorAll("[data-en]")) {
      const [name, text] = [item.dataset.names || "aria-label", item.dataset[lang]];
      name === "text" ? item.textContent = text : item.setAttribute(name, text);
    }
    document.title = root.dataset["title" + (lang === "fr" ? "Fr" : "En")] || document.title;
    document.dispatchEvent(new Event("speak"));
  };
  for (const button of document.querySelectorAll("[data-speak]"))
    button.onclick = () => { keep("lang", button.dataset.speak); speak(button.dataset.speak); };

  const dark = () => root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  if (["light", "dark"].includes(kept("theme"))) root.dataset.theme = kept("theme");
  for (const button of document.querySelectorAll("[data-light]"))
    button.onclick = () => { root.dataset.theme = dark() ? "light" : "dark"; keep("theme", root.dataset.theme); };

  // A table sorts its bodies: each is one row, with what it hides.
  const value = (body, column) => {
    const cell = body.rows[0].cells[column];
    const number = cell.dataset.value ?? "";
    return number !== "" ? Number(number) : cell.classList.contains("n") ? null : cell.innerText.trim();
  };
  const compare = (a, b) => a === null ? (b === null ? 0 : 1) : b === null ? -1
    : typeof a === "number" && typeof b === "number" ? a - b
    : String(a).localeCompare(String(b), undefined, { numeric: true });
  for (const head of document.querySelectorAll("th button[data-sort]"))
    head.onclick = () => {
      const cell = head.parentElement, table = cell.closest("table");
      const up = cell.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      for (const other of cell.parentElement.cells) other.removeAttribute("aria-sort");
      cell.setAttribute("aria-sort", up === 1 ? "ascending" : "descending");
      const bodies = [...table.tBodies].map(body => [value(body, cell.cellIndex), body]);
      bodies.sort(([a], [b]) => a === null || b === null ? compare(a, b) : up * compare(a, b));
      table.append(...bodies.map(([, body]) => body));
    };
  for (const button of document.querySelectorAll(".open"))
    button.onclick = () => {
      const more = button.closest("tbody").rows[1];
      more.hidden = !more.hidden;
      button.setAttribute("aria-expanded", !more.hidden);
    };

  // Sections of a page by status; and a search in what they say.
  const sections = [...document.querySelectorAll("[data-status]")];
  for (const button of document.querySelectorAll("[data-only]"))
    button.onclick = () => {
      for (const other of document.querySelectorAll("[data-only]")) other.setAttribute("aria-pressed", other === button);
      for (const section of sections)
        section.hidden = button.dataset.only !== "" && section.dataset.status !== button.dataset.only;
    };
  if (root.dataset.lang) speak(["en", "fr"].includes(kept("lang")) ? kept("lang") : root.dataset.lang);
})();

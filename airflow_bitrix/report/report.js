"use strict";
(() => {
  const texts = JSON.parse(document.getElementById("texts").textContent);
  const say = (name, values = {}) => texts[name].replace(/\{(\w+)\}/g, (_, key) => values[key]);
  const PAGE = 50, REFRESH = 5000, WAIT = 250, PATIENCE = 40000; // a busy server says so after 30 s
  const inside = (() => { try { return window.parent !== window && window.parent.document; } catch { return null; } })();

  // Airflow's own choice of light or dark goes before the browser's.
  if (inside) {
    const take = () => {
      const names = inside.documentElement.classList;
      const theme = names.contains("dark") ? "dark" : names.contains("light") ? "light" : "";
      if (theme) document.documentElement.dataset.theme = theme;
    };
    take();
    new MutationObserver(take).observe(inside.documentElement, { attributes: true, attributeFilter: ["class"] });
  }

  // Airflow shows the tab in a frame that may open no windows and lead nowhere, so Airflow's own page does that.
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[target]");
    if (!link || !inside) return;
    event.preventDefault();
    const twin = inside.createElement("a");
    Object.assign(twin, { href: link.href, target: link.target === "_top" ? "_self" : link.target, rel: "noopener noreferrer" });
    twin.click();
  });

  document.addEventListener("click", (event) => {
    const button = event.target.closest(".copy button");
    if (!button) return;
    const [field, , status] = button.parentElement.children;
    field.select(); // the clipboard of navigator is closed to pages without https, and to frames
    status.textContent = document.execCommand("copy") ? say("copied") : say("copy");
  });

  // Airflow's own choice of a language goes before the browser's; the server has the nearest one that there is.
  if (inside) {
    // Airflow keeps it there first; its page tells none that was loaded before the page listened for it.
    const kept = () => { try { return window.parent.localStorage.getItem("i18nextLng"); } catch { return null; } };
    const choose = () => {
      const chosen = kept() || inside.documentElement.lang, asked = new URLSearchParams(location.search);
      if (!chosen || asked.get("lang") === chosen || (!asked.has("lang") && chosen === document.documentElement.lang)) return;
      asked.set("lang", chosen);
      location.replace(`?${asked}`);
    };
    choose();
    new MutationObserver(choose).observe(inside.documentElement, { attributes: true, attributeFilter: ["lang"] });
  }

  // A link of a task says in Airflow's address which task it is about.
  const wanted = inside && new URLSearchParams(inside.location.search).get("task");
  const offered = [...document.querySelectorAll("nav a")].map((link) => new URL(link.href).searchParams.get("task"));
  if (wanted && !new URLSearchParams(location.search).has("task") && offered.includes(wanted)) {
    const asked = new URLSearchParams(location.search);
    asked.set("task", wanted);
    return location.replace(`?${asked}`);
  }

  const main = document.querySelector("main");
  const section = document.getElementById("changes");
  const reload = section && section.querySelector("form") ? table(section) : () => {};

  let fresh = new Date();
  if (main.dataset.live) follow();

  function follow() {
    setTimeout(async () => {
      if (!document.hidden && await refresh() === "stop") return;
      follow();
    }, REFRESH);
  }

  async function refresh() {
    let answer, text;
    try {
      answer = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
      text = await answer.text();
    } catch { return stale(); }
    if ([401, 403, 404].includes(answer.status)) return gone(answer.status);
    if (!answer.ok) return stale();
    const page = new DOMParser().parseFromString(text, "text/html");
    if (!page.getElementById("told")) return gone(401); // such as the login of a proxy before Airflow
    const theirs = page.getElementById("changes"), same = (name) => (section && section.dataset[name]) === (theirs && theirs.dataset[name]);
    if (!same("address") || !same("total") || !same("rows")) { location.reload(); return "stop"; }
    for (const id of ["told", "next"]) swap(document.getElementById(id), page.getElementById(id));
    reload();
    fresh = new Date();
    document.getElementById("stale")?.remove();
    return page.querySelector("main").dataset.live ? "" : "stop";
  }

  function stale() {
    if (!document.getElementById("stale")) {
      const notice = document.createElement("section");
      Object.assign(notice, { id: "stale", className: "notice", role: "status" });
      const headline = document.createElement("b");
      headline.textContent = say("stale", { time: fresh.toISOString().slice(11, 16) });
      notice.append(headline, " ", say("busy"));
      document.getElementById("told").before(notice);
    }
    return "";
  }

  function gone(status) {
    const notice = document.createElement("section");
    notice.className = "notice bad";
    notice.textContent = status === 404 ? say("gone") : say("session");
    document.getElementById("told").prepend(notice);
    return "stop";
  }

  // Whoever reads or tabs through the old contents finds the new ones where they were.
  function swap(mine, theirs) {
    const selection = getSelection();
    if (!selection.isCollapsed && mine.contains(selection.anchorNode)) return;
    if (mine.innerHTML === theirs.innerHTML) return;
    const active = mine.contains(document.activeElement) ? document.activeElement : null;
    const places = "a, button, input, [role=region]", at = active ? [...mine.querySelectorAll(places)].indexOf(active) : -1;
    const scrolled = [...mine.querySelectorAll("[role=region]")].map((one) => [one.scrollLeft, one.scrollTop]);
    mine.replaceChildren(...theirs.childNodes);
    mine.querySelectorAll("[role=region]").forEach((one, number) => { if (scrolled[number]) [one.scrollLeft, one.scrollTop] = scrolled[number]; });
    if (at >= 0) mine.querySelectorAll(places)[at]?.focus({ preventScroll: true });
  }

  function table(section) {
    const form = section.querySelector("form"), body = section.querySelector("tbody");
    const status = form.querySelector("[role=status]"), heads = [...section.querySelectorAll("th[data-sort]")];
    const words = JSON.parse(section.dataset.words);
    const embedded = section.dataset.rows ? null : JSON.parse(document.getElementById("rows").textContent);
    const field = (name) => form.elements.namedItem(name);
    let at = 0, sort = "plan", asked = 0, timer = 0, shownRows = "";

    for (const head of heads) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const key = head.dataset.sort;
        sort = sort === key && key === "owner" ? "-owner" : sort === key || sort === "-" + key ? "plan" : key;
        for (const one of heads) {
          const way = sort === one.dataset.sort ? "ascending" : sort === "-" + one.dataset.sort ? "descending" : "";
          if (way) one.setAttribute("aria-sort", way); else one.removeAttribute("aria-sort");
        }
        at = 0;
        load();
      });
    }
    field("search").addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(() => { at = 0; load(); }, WAIT); });
    field("outcome").addEventListener("change", () => { at = 0; load(); });
    field("back").addEventListener("click", () => { at = Math.max(0, at - PAGE); load(); });
    field("on").addEventListener("click", () => { at += PAGE; load(); });
    form.addEventListener("submit", (event) => event.preventDefault());
    form.hidden = false;
    load();
    return load;

    async function load() {
      const mine = ++asked;
      let found;
      try { found = embedded ? local() : await remote(); } catch (problem) {
        if (mine === asked) status.textContent = say("unread", { problem: problem.message });
        return;
      }
      if (mine !== asked) return;
      if (at && at >= found.total) { // fewer than there were: the last page that there is now
        at = Math.max(0, Math.ceil(found.total / PAGE) - 1) * PAGE;
        return load();
      }
      const told = JSON.stringify(found.rows);
      if (told !== shownRows) {
        const links = [...body.querySelectorAll("a")], focused = links.indexOf(document.activeElement);
        body.replaceChildren(...found.rows.map(line));
        body.querySelectorAll("a")[focused]?.focus({ preventScroll: true });
        shownRows = told;
      }
      const isPart = embedded && embedded.length < section.dataset.total, end = at + found.rows.length;
      const figures = { first: shown(at + 1), last: shown(end), total: shown(found.total), most: isPart ? shown(embedded.length) : "" };
      const note = found.note ? `; ${found.note}` : "";
      status.textContent = say((found.total ? "rows" : "none") + (isPart ? "_of_first" : ""), figures) + note;
      field("back").disabled = at === 0;
      field("on").disabled = end >= found.total;
    }

    async function remote() {
      const wanted = new URLSearchParams({ search: field("search").value, outcome: field("outcome").value, sort, at, size: PAGE });
      const answer = await fetch(`${section.dataset.rows}&${wanted}`, { cache: "no-store" });
      if (!answer.ok) throw new Error(say("status", { status: answer.status }));
      return answer.json();
    }

    function local() {
      const words = field("search").value.toLowerCase().split(/[\s,]+/).map((word) => word.replace(/\*$/, "")).filter(Boolean);
      const tests = words.map((word) => /^\d+$/.test(word)
        ? (text) => new RegExp(`(?<!\\d)${word}(?!\\d)`).test(text) : (text) => text.includes(word));
      const outcome = field("outcome").value;
      const rows = embedded.filter(([id, is, pieces, , reason, overwrote, title, about]) => {
        if (outcome && outcome !== is && !(outcome === "overwritten" && overwrote)) return false;
        const contacts = pieces.map(([contact, , , name]) => `${contact} ${name}`).join(" ");
        const text = `${id} ${title} ${about} ${contacts} ${reason}`.toLowerCase();
        return tests.every((test) => test(text));
      });
      const order = [...field("outcome").options].map((option) => option.value);
      if (sort === "owner") rows.sort((one, other) => one[0] - other[0]);
      if (sort === "-owner") rows.sort((one, other) => other[0] - one[0]);
      if (sort === "outcome") rows.sort((one, other) => order.indexOf(one[1]) - order.indexOf(other[1]));
      return { total: rows.length, rows: rows.slice(at, at + PAGE) };
    }

    function line([id, outcome, pieces, notes, reason, , title, about]) {
      const owner = [card(section.dataset.address, id, title), ...about ? [element("small", "", about)] : []];
      const contacts = pieces.length ? [element("ul", "who", ...pieces.map((one) => element("li", "", contact(one))))] : [words.none];
      const cells = [owner, [element("span", `tag ${outcome}`, outcome)], [...contacts, ...notes.map((one) => element("small", "", one))], [reason]];
      const row = element("tr", "", ...cells.map((content) => element("td", "", ...content)));
      row.firstChild.className = "owner";
      return row;
    }

    // What is removed or added is told by elements that are read aloud, each with a word for who only hears it.
    function contact([id, mark, primary, name]) {
      const told = [card(section.dataset.contacts, id, name)];
      if (primary) told.push(" ", changed({ was: "del", now: "ins" }[primary] || "span", words[primary], words.primary, "first"));
      return mark === "-" ? changed("del", words.removed, told) : mark === "+" ? changed("ins", words.added, told) : element("span", "", ...told);
    }

    function changed(tag, word, content, className = "") {
      const heard = tag === "span" ? [] : [element("span", "unseen", `${word} `)];
      return element(tag, className, ...heard, ...[content].flat());
    }

    function card(address, id, name) {
      const link = element("a", "", name ? `${id} ${name}` : id);
      return Object.assign(link, { href: `${address}${id}/`, target: "_blank", rel: "noopener noreferrer" });
    }

    function element(tag, className, ...content) {
      const made = document.createElement(tag);
      if (className) made.className = className;
      made.append(...content);
      return made;
    }
  }

  function shown(figure) { return Number(figure).toLocaleString(document.documentElement.lang); }
})();

// Keys for the console, and decisions without a whole page load. Every button works without this file: what is done here
// is to press it. Pages come from our own server and are parsed through the Trusted Types policy "anteroom".
(() => {
  "use strict";
  const policy = window.trustedTypes?.createPolicy("anteroom", { createHTML: (html) => html });
  const parse = (html) => new DOMParser().parseFromString(policy ? policy.createHTML(html) : html, "text/html");
  const find = (selector, within = document) => within.querySelector(selector);
  const say = (words) => { find("#live").textContent = words; };
  let busy = false;
  let waiting = [];

  // ---- pages in place --------------------------------------------------------------------------------------------
  const swap = (page, address, push) => {
    const fresh = find("#main", page);
    if (!fresh) return false;
    const scrolled = find(".list")?.scrollTop ?? 0;
    find("#main").replaceChildren(...fresh.childNodes);
    const bar = find(".bar", page);
    if (bar) find(".bar").replaceChildren(...bar.childNodes);
    document.title = page.title;
    history[push ? "pushState" : "replaceState"](null, "", address);
    const list = find(".list");
    if (list) list.scrollTop = scrolled;
    find(".row-selected")?.scrollIntoView({ block: "nearest" });
    showTicks();
    // Not the last decision: it stays there at every move.
    const said = [...document.querySelectorAll(".notice:not(.notice-last) :is(p, li)")].map((line) => line.textContent);
    const name = find("#card-title")?.textContent;
    say([...said, name && `Now: ${name}`].filter(Boolean).join(" "));
    (find(".row-link[aria-current]") || find("#main")).focus({ preventScroll: true });
    return true;
  };
  const fail = (words) => {
    const notice = document.createElement("div");
    notice.className = "notice notice-failed";
    notice.setAttribute("role", "alert");
    const line = document.createElement("p");
    line.textContent = words;
    notice.append(line);
    find("#main > .notice-failed")?.remove();
    find("#main").prepend(notice);
  };
  // Says whether a page was swapped in. One load at a time; what is pressed meanwhile and decides nothing waits its turn.
  const load = async (address, options, push) => {
    if (busy) return false;
    busy = true;
    let done = false;
    document.body.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(address, { ...options, headers: { Accept: "text/html" } });
      const html = await answer.text();
      if (answer.status >= 500 || answer.status === 429) {
        fail("The server could not do that just now. Nothing was changed; please try again.");
      } else {
        const page = parse(html);
        // What answers a form in place has an address that nobody can go to.
        done = swap(page, options.method && !answer.redirected ? location.href : answer.url, push);
        if (!done && answer.ok) location.assign(answer.url);
        if (!done && !answer.ok) {
          fail([find("h1", page), find(".lead", page)].map((line) => line?.textContent).filter(Boolean).join(". "));
        }
      }
    } catch {
      fail("The server cannot be reached. Nothing was changed; please try again when the connection is back.");
    } finally {
      busy = false;
      document.body.removeAttribute("aria-busy");
    }
    if (done) takeTurns();
    else waiting = [];
    return done;
  };
  const takeTurns = () => {
    while (!busy && waiting.length) {
      let next = waiting.shift();
      while (typeof next === "number" && typeof waiting[0] === "number") next += waiting.shift();
      if (typeof next === "number") step(next);
      else next();
    }
  };
  const go = (address) => {
    if (busy) waiting.push(() => load(address, {}, true));
    else load(address, {}, true);
  };

  document.addEventListener("submit", (event) => {
    const form = event.target;
    const { pathname } = new URL(form.action);
    if (form.matches(".filters")) {
      event.preventDefault();
      const asked = [...new FormData(form)].filter(([, text]) => text);
      go(asked.length ? `${pathname}?${new URLSearchParams(asked)}` : pathname);
    } else if (pathname === "/console/logout") {
      ticks.clear();
      keepTicks();
    } else if (form.method === "post" && /^\/console\/(comments|decisions)/.test(pathname)) {
      event.preventDefault();
      const body = new URLSearchParams(new FormData(form, event.submitter));
      decide(form.action, body);
    }
  });
  const decide = async (address, body) => {
    const [, comment] = address.match(/\/comments\/([^/]+)\/decision$/) ?? [];
    const isBulk = address.endsWith("/console/decisions");
    // Before the page is swapped in, so that what it shows is without them; put back if nothing came of it.
    const before = [...ticks];
    if (!busy) for (const tick of before) if (isBulk || tick.startsWith(`${comment}:`)) ticks.delete(tick);
    if (await load(address, { method: "POST", body }, false)) return;
    for (const tick of before) ticks.add(tick);
    showTicks();
  };
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a.row-link, .list .pages a, .narrowed a");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    go(link.href);
  });
  addEventListener("popstate", () => {
    const back = () => load(location.href, {}, false);
    if (busy) waiting.push(back);
    else back();
  });

  // ---- several at once -------------------------------------------------------------------------------------------
  // Ticks outlive the list that they were made in: by comment and text, as the form sends them, as long as this tab.
  const TICKS = "anteroom-ticks";
  const ticks = new Set();
  const keepTicks = () => { try { sessionStorage.setItem(TICKS, JSON.stringify([...ticks])); } catch { /* then until the next whole load */ } };
  const showTicks = () => {
    const shown = new Set();
    for (const box of document.querySelectorAll(".pick")) {
      const [comment] = box.value.split(":");
      // Another text of the same comment is not what was ticked.
      for (const tick of ticks) if (tick !== box.value && tick.startsWith(`${comment}:`)) ticks.delete(tick);
      box.checked = ticks.has(box.value);
      shown.add(box.value);
    }
    keepTicks();
    const bulk = find("#bulk");
    if (!bulk) return;
    for (const field of bulk.querySelectorAll("[data-elsewhere]")) field.remove();
    let elsewhere = 0;
    for (const tick of ticks) {
      if (shown.has(tick)) continue;
      elsewhere += 1;
      const field = Object.assign(document.createElement("input"), { type: "hidden", name: "item", value: tick });
      field.dataset.elsewhere = "";
      bulk.append(field);
    }
    bulk.classList.toggle("bulk-open", ticks.size > 0);
    find("[data-bulk-count]", bulk).textContent = `${ticks.size} ticked${elsewhere ? `, ${elsewhere} not in this list` : ""}:`;
  };
  document.addEventListener("change", (event) => {
    if (!event.target.matches(".pick")) return;
    if (event.target.checked) ticks.add(event.target.value);
    else ticks.delete(event.target.value);
    showTicks();
  });
  document.addEventListener("reset", (event) => {
    if (event.target.id !== "bulk") return;
    ticks.clear();
    showTicks();
  });
  try { for (const tick of JSON.parse(sessionStorage.getItem(TICKS)) ?? []) ticks.add(String(tick)); } catch { /* none kept */ }
  showTicks();
  document.addEventListener("change", (event) => {
    if (event.target.matches(".filters select")) event.target.form.requestSubmit();
  });

  // ---- keys ------------------------------------------------------------------------------------------------------
  const step = (by) => {
    const links = [...document.querySelectorAll(".row-link")];
    const at = links.findIndex((link) => link.hasAttribute("aria-current"));
    const to = Math.max(0, Math.min(at + by, links.length - 1));
    if (by === 0) return;
    if (links[to] && to !== at) links[to].click();
    else find(by > 0 ? '.pages [rel="next"]' : ".pages a:not([rel])")?.click();
  };
  const press = (control) => {
    if (!control || control.disabled) return;
    if (control.matches("input")) { control.focus(); control.select(); }
    else control.click();
  };
  const keys = {
    j: 1,
    k: -1,
    x: () => find(".row-selected .pick")?.click(),
    n: () => find("#note")?.focus(),
    "?": () => find("#keys")?.showModal(),
    r: () => {
      const menu = find("[data-menu]");
      if (!menu) return;
      menu.open = true;
      find("button", menu).focus();
    },
  };
  const decides = (control) => control?.matches('form[method="post"] button');
  // What a key does: a number of rows to move, something to call, or nothing if the key is none of ours.
  const meaning = (event) => {
    const menu = find("[data-menu][open]");
    if (menu) {
      if (busy) return () => {};
      if (event.key === "Escape" || event.key === menu.dataset.menu) return () => { menu.open = false; find("summary", menu).focus(); };
      const choice = find(`[data-menu-key="${CSS.escape(event.key)}"]`, menu);
      return choice && (() => press(choice));
    }
    if (Object.hasOwn(keys, event.key)) return keys[event.key];
    const control = find(`[data-key="${CSS.escape(event.key)}"]`);
    if (!control) return undefined;
    // A decision is about what is on the screen: never pressed in advance for what is still on its way.
    return decides(control) && busy ? () => {} : () => press(control);
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || find("dialog[open]")) return;
    if (event.repeat && event.key === "Enter" && decides(event.target)) {
      event.preventDefault();
      return;
    }
    if (event.target.matches("input:not([type=checkbox]), textarea, select")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const act = meaning(event);
    if (act === undefined || act === null) return;
    event.preventDefault();
    // A key that is held down moves on and on, but does nothing else twice.
    if (event.repeat && (busy || typeof act !== "number")) return;
    if (busy) waiting.push(act);
    else if (typeof act === "number") step(act);
    else act();
  });
  document.addEventListener("click", (event) => {
    const menu = find("[data-menu][open]");
    if (menu && !menu.contains(event.target)) menu.open = false;
  });
})();

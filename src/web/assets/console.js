// Keys for the console, and decisions without a whole page load. Every button works without this file: what is done here
// is to press it. Pages come from our own server and are parsed through the Trusted Types policy "anteroom".
(() => {
  "use strict";
  const policy = window.trustedTypes?.createPolicy("anteroom", { createHTML: (html) => html });
  const parse = (html) => new DOMParser().parseFromString(policy ? policy.createHTML(html) : html, "text/html");
  const find = (selector, within = document) => within.querySelector(selector);
  const say = (words) => { find("#live").textContent = words; };
  let busy = false;

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
    tick();
    const said = find(".notice p")?.textContent;
    const name = find("#card-title")?.textContent;
    say([said, name && `Now: ${name}`].filter(Boolean).join(" "));
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
    find("#main > .notice")?.remove();
    find("#main").prepend(notice);
  };
  const load = async (address, options, push) => {
    if (busy) return;
    busy = true;
    document.body.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(address, { ...options, headers: { Accept: "text/html" } });
      const html = await answer.text();
      if (answer.status >= 500 || answer.status === 429) {
        fail("The server could not do that just now. Nothing was changed; please try again.");
      } else if (!swap(parse(html), answer.url, push)) {
        location.assign(answer.url);
      }
    } catch {
      fail("The server cannot be reached. Nothing was changed; please try again when the connection is back.");
    } finally {
      busy = false;
      document.body.removeAttribute("aria-busy");
    }
  };

  document.addEventListener("submit", (event) => {
    const form = event.target;
    const isOurs = form.method === "post" && /^\/console\/(comments|decisions)/.test(new URL(form.action).pathname);
    if (!isOurs || /\/reveal$/.test(form.action)) return;
    event.preventDefault();
    const body = new URLSearchParams(new FormData(form, event.submitter));
    load(form.action, { method: "POST", body }, false);
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a.row-link");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    load(link.href, {}, true);
  });
  addEventListener("popstate", () => load(location.href, {}, false));

  // ---- several at once -------------------------------------------------------------------------------------------
  const tick = () => {
    const n = document.querySelectorAll(".pick:checked").length;
    const words = find("[data-bulk-count]");
    if (words) words.textContent = n === 1 ? "1 ticked:" : `${n} ticked:`;
  };
  document.addEventListener("change", (event) => { if (event.target.matches(".pick")) tick(); });
  document.addEventListener("reset", () => setTimeout(tick));
  document.addEventListener("change", (event) => {
    if (event.target.matches(".filters select")) event.target.form.requestSubmit();
  });

  // ---- keys ------------------------------------------------------------------------------------------------------
  const step = (by) => {
    const links = [...document.querySelectorAll(".row-link")];
    const at = links.findIndex((link) => link.hasAttribute("aria-current"));
    const next = links[at + by];
    if (next) next.click();
    else find(by > 0 ? '.pages [rel="next"]' : ".pages a:not([rel])")?.click();
  };
  const press = (control) => {
    if (!control || control.disabled) return;
    if (control.matches("input")) { control.focus(); control.select(); }
    else control.click();
  };
  const keys = {
    j: () => step(1),
    k: () => step(-1),
    x: () => find(".row-selected .pick")?.click(),
    n: () => find("#note")?.focus(),
    "?": () => find("#keys")?.showModal(),
    r: () => {
      const menu = find("[data-menu]");
      if (!menu) return;
      menu.open = true;
      find("button", menu).focus();
    },
    Escape: () => { for (const menu of document.querySelectorAll("[data-menu][open]")) { menu.open = false; find("summary", menu).focus(); } },
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || find("dialog[open]")) return;
    if (event.target.matches("input:not([type=checkbox]), textarea, select")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const menu = find("[data-menu][open]");
    const inMenu = menu && find(`[data-menu-key="${CSS.escape(event.key)}"]`, menu);
    const act = inMenu ? () => press(inMenu) : keys[event.key] || (() => {
      const control = find(`[data-key="${CSS.escape(event.key)}"]`);
      if (control) press(control);
      return Boolean(control);
    });
    if (act() !== false) event.preventDefault();
  });
  document.addEventListener("click", (event) => {
    const menu = find("[data-menu][open]");
    if (menu && !menu.contains(event.target)) menu.open = false;
  });
})();

// Puts a post's comments and the form "Leave a reply" into a page:
//   <script src="https://comments.example/embed.js" data-site="garden" data-thread="/2026/wren/" defer></script>
// Optional: data-container (id of an element to fill), data-title, data-url, data-order ("oldest" or "newest").
// No cookies, no third party, no library. What it keeps (receipts, an unsent draft) stays in this page's localStorage.
(() => {
  "use strict";
  const script = document.currentScript;
  const { site, thread = location.pathname, order = "oldest" } = script.dataset;
  const base = new URL(".", script.src);
  const api = (path) => new URL("api/v1/" + path, base);
  const ofSite = (path) => api(`sites/${encodeURIComponent(site)}/${path}`);

  // ---- what this browser remembers -------------------------------------------------------------------------------
  const slot = `anteroom:${site}:${thread}`;
  const recall = (key, otherwise) => {
    try { return JSON.parse(localStorage.getItem(key)) ?? otherwise; } catch { return otherwise; }
  };
  const remember = (key, value) => {
    try {
      if (value === null) localStorage.removeItem(key);
      else localStorage.setItem(key, JSON.stringify(value));
    } catch { /* A browser that keeps nothing can still comment. */ }
  };
  const receipts = () => recall(slot + ":receipts", []);
  const keepReceipt = (id, receipt) => {
    remember(slot + ":receipts", [...receipts().filter((r) => r.id !== id), { id, receipt }].slice(-20));
    remember(`anteroom:${site}:proof`, receipt);
  };
  const dropReceipt = (id) => remember(slot + ":receipts", receipts().filter((r) => r.id !== id));

  // ---- elements: text is always a text node ----------------------------------------------------------------------
  const el = (tag, attributes = {}, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (typeof value === "function") node.addEventListener(name, value);
      else if (value === true) node.setAttribute(name, "");
      else if (value !== false && value != null) node.setAttribute(name, value);
    }
    node.append(...children.filter((child) => child != null));
    return node;
  };
  const button = (words, click, cls = "ar-link") => el("button", { type: "button", class: cls, click }, words);

  // The server writes `html` from an allow-list; the same list is applied again before anything reaches the page.
  const ALLOWED = new Set("P EM STRONG CODE PRE BLOCKQUOTE UL OL LI A BR DEL HR".split(" "));
  const policy = (() => {
    try { return window.trustedTypes?.createPolicy("anteroom", { createHTML: (html) => html }); } catch { return null; }
  })();
  const prune = (node) => {
    for (const child of [...node.children]) {
      prune(child);
      if (!ALLOWED.has(child.tagName)) { child.replaceWith(child.textContent); continue; }
      const href = child.getAttribute("href");
      for (const { name } of [...child.attributes]) child.removeAttribute(name);
      if (child.tagName === "A" && /^(https?|mailto):/i.test(href || "")) {
        child.href = href;
        child.rel = "nofollow ugc noopener";
      }
    }
  };
  const rich = ({ html, body }) => {
    const box = el("div", { class: "ar-text" });
    try {
      const template = document.createElement("template");
      template.innerHTML = policy ? policy.createHTML(html) : html;
      prune(template.content);
      box.append(template.content);
    } catch { box.append(el("p", {}, body ?? "")); }
    return box;
  };

  const ago = (iso) => {
    const seconds = (new Date(iso) - Date.now()) / 1000;
    const format = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
    for (const [unit, length] of [["year", 31536e3], ["month", 2592e3], ["day", 86400], ["hour", 3600], ["minute", 60]]) {
      if (Math.abs(seconds) >= length) return format.format(Math.round(seconds / length), unit);
    }
    return "just now";
  };
  const count = (n) => (n === 0 ? "No comments yet" : n === 1 ? "1 comment" : `${n.toLocaleString("en")} comments`);

  // ---- talking to the server -------------------------------------------------------------------------------------
  const call = async (url, { method = "GET", json, receipt, key } = {}) => {
    const headers = { Accept: "application/json" };
    if (json) headers["Content-Type"] = "application/json";
    if (receipt) headers.Authorization = "Receipt " + receipt;
    if (key) headers["Idempotency-Key"] = key;
    const answer = await fetch(url, { method, headers, body: json && JSON.stringify(json), credentials: "omit", referrerPolicy: "no-referrer" });
    const data = await answer.json().catch(() => ({}));
    return { ok: answer.ok, status: answer.status, data, retry: answer.headers.get("Retry-After") };
  };
  const OFFLINE = "The comment service cannot be reached. What you wrote is still here; please try again.";
  const trouble = ({ status, data, retry }) =>
    status === 429 || status === 503
      ? `Too much at once. Please try again ${retry ? `in ${retry} seconds` : "in a moment"}; what you wrote is still here.`
      : sentence(data.detail || data.title) || "That did not work. What you wrote is still here.";
  const sentence = (words = "") => words.charAt(0).toUpperCase() + words.slice(1) + (/[\p{L}\p{N}]$/u.test(words) ? "." : "");
  const newKey = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");

  // ---- the thread ------------------------------------------------------------------------------------------------
  const title = el("h2", { class: "ar-title" });
  const list = el("ol", { class: "ar-thread" });
  const status = el("p", { class: "ar-status", role: "status", tabindex: "-1" });
  const place = el("div");
  const more = el("p", { class: "ar-actions" });
  const fields = {};
  let form, stamp = {}, total = 0, open = true, parent = null, attempt = { key: newKey(), content: "" };

  const say = (words) => { status.textContent = words; };
  const show = () => { title.textContent = count(total); };

  const head = (comment, badge) => {
    const { name, url } = comment.author;
    const bdi = el("bdi", {}, name);
    const linked = /^https?:/i.test(url || "");
    return el("div", { class: "ar-head" },
      el("span", { class: "ar-name" }, linked ? el("a", { href: url, rel: "nofollow ugc noopener" }, bdi) : bdi),
      el("a", { class: "ar-when", href: "#comment-" + comment.id },
        el("time", { datetime: comment.created_at, title: new Date(comment.created_at).toLocaleString() }, ago(comment.created_at))),
      comment.edited_at ? el("span", { class: "ar-when" }, "edited") : null,
      badge ?? null);
  };
  const put = (comment) => {
    const above = comment.parent && document.getElementById("comment-" + comment.parent);
    const depth = above && list.contains(above) ? Number(above.dataset.depth) + 1 : 0;
    const item = el("li", { class: `ar-comment ar-d${Math.min(depth, 4)}`, id: "comment-" + comment.id, "data-depth": depth, tabindex: "-1" },
      el("img", { class: "ar-avatar", src: comment.author.avatar, alt: "", width: 40, height: 40, loading: "lazy" }),
      head(comment), rich(comment),
      el("div", { class: "ar-foot" }, open
        ? el("button", { type: "button", class: "ar-reply", click: () => answer(comment) }, "Reply", el("span", { class: "ar-hidden" }, " to " + comment.author.name))
        : null));
    const old = document.getElementById(item.id);
    if (old && list.contains(old)) { old.replaceWith(item); return item; }
    let after = depth ? above : null;
    while (after?.nextElementSibling && Number(after.nextElementSibling.dataset.depth) >= depth) after = after.nextElementSibling;
    if (after) after.after(item); else list.append(item);
    return item;
  };
  const page = async (cursor) => {
    const url = ofSite("comments");
    url.search = new URLSearchParams({ thread, order, limit: 200, ...(cursor && { cursor }) });
    const { ok, data } = await call(url);
    if (!ok) throw new Error(data.title);
    data.comments.forEach(put);
    total = data.total;
    show();
    more.replaceChildren(...(data.next_cursor ? [button("Show more comments", () => page(data.next_cursor), "ar-button")] : []));
  };

  // ---- one's own comments: where they stand, edit, withdraw ------------------------------------------------------
  const REASONS = { spam: "It was taken for advertising.", abuse: "It was taken for an attack on somebody.", quality: "It says too little to be published.", policy: "It goes against the rules of this site." };
  const mine = async ({ id, receipt }, fresh) => {
    const { ok, status: code, data } = fresh ? { ok: true, data: fresh } : await call(api("comments/" + id), { receipt });
    if (code === 404 || code === 401 || data.status === "withdrawn") return dropReceipt(id);
    if (!ok) return;
    const comment = data.comment || data;
    const text = comment.body ?? data.body ?? "";
    const approved = data.status === "approved";
    const editable = data.edit_until && new Date(data.edit_until) > Date.now();
    const receiptPage = new URL(`c/${id}?receipt=${encodeURIComponent(receipt)}`, base);
    const foot = el(approved ? "span" : "div", { class: approved ? "ar-own" : "ar-foot" },
      editable ? button("Edit", () => edit()) : null,
      button("Withdraw", () => withdraw()),
      el("a", { class: "ar-reply", href: receiptPage, rel: "noreferrer" }, data.status === "rejected" ? "See why, or appeal" : "Where it stands"));
    let item = approved && document.getElementById("comment-" + id);
    if (approved && !item) return;
    if (approved) {
      item.querySelectorAll(".ar-own").forEach((old) => old.remove());
      item.querySelector(".ar-foot").append(foot);
    } else {
      const words = data.status === "rejected" ? `Not published. ${data.reply || REASONS[data.label || data.reason] || ""}` : "Waiting for a person to read it. Only you can see it here.";
      item = el("li", { class: "ar-comment ar-mine", id: "comment-" + id, "data-depth": 0, tabindex: "-1" },
        el("div", { class: "ar-badge" + (data.status === "rejected" ? " ar-no" : "") }, words),
        el("div", { class: "ar-text" }, el("p", {}, text)), foot);
      document.getElementById(item.id)?.remove();
      list.append(item);
    }
    const edit = () => {
      const area = el("textarea", { rows: 6, "aria-label": "Your comment" });
      const error = el("p", { class: "ar-error", role: "alert" });
      area.value = text;
      const box = el("div", { class: "ar-field" }, area, error, el("p", { class: "ar-actions" },
        button("Save changes", async () => {
          try {
            const result = await call(api("comments/" + id), { method: "PATCH", json: { body: area.value }, receipt });
            if (!result.ok) { error.textContent = sentence(result.data.errors?.[0]?.detail) || trouble(result); return; }
            say(result.data.status === "approved" ? "Your change is published." : "Your change is saved. A person will read it before it appears.");
            await refresh();
            status.focus();
          } catch { error.textContent = OFFLINE; }
        }, "ar-button"),
        button("Cancel", () => box.replaceWith(foot))));
      foot.replaceWith(box);
      area.focus();
    };
    const withdraw = async () => {
      if (!confirm("Withdraw this comment? This cannot be undone.")) return;
      try {
        const result = await call(api("comments/" + id), { method: "DELETE", receipt });
        if (!result.ok) return say(trouble(result));
        dropReceipt(id);
        say("Your comment is withdrawn.");
        await refresh();
        status.focus();
      } catch { say(OFFLINE); }
    };
    return item;
  };
  const refresh = async () => {
    list.replaceChildren();
    await page();
    await Promise.allSettled(receipts().map((r) => mine(r)));
  };

  // ---- the form --------------------------------------------------------------------------------------------------
  const field = (name, label, input, wide, required) => {
    const id = "ar-" + name;
    const error = el("span", { class: "ar-error", id: id + "-error" });
    input.id = id;
    input.name = name;
    fields[name] = { input, error };
    return el("p", { class: "ar-field" + (wide ? " ar-wide" : "") },
      el("label", { for: id }, label, required ? el("span", { class: "ar-star", "aria-hidden": "true" }, " *") : null), input, error);
  };
  const mark = (name, words) => {
    const { input, error } = fields[name];
    error.textContent = words;
    if (words) { input.setAttribute("aria-invalid", "true"); input.setAttribute("aria-describedby", error.id); }
    else { input.removeAttribute("aria-invalid"); input.removeAttribute("aria-describedby"); }
  };
  const heading = el("h2", { class: "ar-title", id: "reply-title" });
  const cancel = button("Reply to the post instead", () => answer(null));
  const answer = (comment) => {
    parent = comment && { id: comment.id, name: comment.author.name };
    heading.replaceChildren(...(parent ? ["Reply to ", el("bdi", {}, parent.name)] : ["Leave a reply"]));
    cancel.hidden = !parent;
    if (comment) { form.scrollIntoView({ block: "nearest" }); fields.body.input.focus(); }
    draft();
  };
  const draft = () => {
    const { name, url, body } = fields;
    const kept = { name: name.input.value, url: url.input.value, body: body.input.value, parent };
    remember(slot + ":draft", kept.body ? kept : null);
  };
  const build = () => {
    const trap = el("input", { name: stamp.trap_field || "ar-trap", id: "ar-trap", tabindex: "-1", autocomplete: "off" });
    const send = el("button", { type: "submit", class: "ar-button" }, "Post comment");
    fields.trap = { input: trap };
    form = el("form", { class: "ar-form", id: "reply", novalidate: true, "aria-labelledby": "reply-title", input: draft,
      submit: (event) => { event.preventDefault(); submit(send); } },
      heading,
      el("p", { class: "ar-note" }, "Your email address will not be published. Required fields are marked ", el("span", { class: "ar-star" }, "*")),
      cancel,
      field("body", "Comment", el("textarea", { rows: 6, required: true }), true, true),
      field("name", "Name", el("input", { required: true, autocomplete: "name" }), false, true),
      field("email", "Email", el("input", { type: "email", required: true, autocomplete: "email" }), false, true),
      field("url", "Website", el("input", { type: "url", autocomplete: "url", placeholder: "https://" }), true),
      el("p", { class: "ar-aside", "aria-hidden": "true" }, el("label", { for: "ar-trap" }, "Leave this empty"), trap),
      el("p", { class: "ar-actions" }, send));
    return form;
  };
  const PLACES = { "author.name": "name", "author.email": "email", "author.url": "url", body: "body" };
  const submit = async (send) => {
    if (send.getAttribute("aria-disabled")) return;
    const value = (name) => fields[name].input.value;
    const json = {
      thread: { key: thread, url: script.dataset.url || location.origin + location.pathname, title: script.dataset.title || document.title },
      parent: parent?.id ?? null,
      author: { name: value("name"), email: value("email"), body: undefined },
      body: value("body"),
      form: { stamp: stamp.stamp, trap: value("trap") },
    };
    if (value("url").trim()) json.author.url = value("url");
    const proof = recall(`anteroom:${site}:proof`);
    if (proof) json.author.proof = proof;
    // One key an attempt: sending the same again after a lost answer finds the first answer; other content is another attempt.
    const content = JSON.stringify([json.parent, json.author.name, json.author.email, json.author.url, json.body]);
    if (attempt.content !== content) attempt = { key: newKey(), content };
    ["name", "email", "url", "body"].forEach((name) => mark(name, ""));
    say("");
    send.setAttribute("aria-disabled", "true");
    send.textContent = "Sending\u2026";
    try {
      const result = await call(ofSite("comments"), { method: "POST", json, key: attempt.key });
      const { data } = result;
      if (data.id && data.receipt) keepReceipt(data.id, data.receipt);
      if (result.ok) {
        const isPublished = data.status === "approved";
        fields.body.input.value = "";
        answer(null);
        let item;
        if (isPublished && data.comment) { total += 1; show(); item = put({ id: data.id, ...data.comment }); }
        item = (await mine({ id: data.id, receipt: data.receipt }, { ...data, body: json.body })) || item;
        say(isPublished ? "Thank you. Your comment is published." : "Thank you. Your comment is waiting for a person to read it.");
        attempt = { key: newKey(), content: "" };
        (item || status).focus();
        stamp = (await call(formUrl())).data;
        return;
      }
      let first;
      for (const { field: path, detail } of data.errors || []) {
        const name = PLACES[path];
        if (!name) { say(sentence(detail)); continue; }
        mark(name, sentence(detail));
        if (!first || fields[name].input.compareDocumentPosition(first) & Node.DOCUMENT_POSITION_FOLLOWING) first = fields[name].input;
      }
      if (first) { say("Please correct what is marked."); first.focus(); }
      else { say(trouble(result)); status.focus(); }
    } catch {
      say(OFFLINE);
      status.focus();
    } finally {
      send.removeAttribute("aria-disabled");
      send.textContent = "Post comment";
    }
  };

  // ---- start -----------------------------------------------------------------------------------------------------
  const formUrl = () => { const url = ofSite("form"); url.searchParams.set("thread", thread); return url; };
  const start = async () => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync("{{style}}");
    document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
    let box = document.getElementById(script.dataset.container || "anteroom");
    const typed = box ? Object.fromEntries([...box.querySelectorAll("input, textarea")].map((i) => [i.name, i.value])) : {};
    if (!box) { box = el("section", { id: "anteroom" }); script.after(box); }
    const answers = await Promise.allSettled([call(formUrl()), page()]);
    const [asked, listed] = answers;
    if (asked.status === "fulfilled" && asked.value.ok) stamp = asked.value.data;
    // What the server had already written into the page stays until there is something to put in its place.
    if (listed.status === "rejected" && box.children.length) return;
    open = stamp.open !== false;
    if (!open) list.querySelectorAll(".ar-reply").forEach((reply) => reply.remove());
    box.classList.add("anteroom");
    title.id = "comments-title";
    box.setAttribute("aria-labelledby", title.id);
    box.replaceChildren(title, list, more, status,
      open ? build() : el("p", { class: "ar-closed", id: "reply" }, "This discussion is closed. You can still read it."), place);
    if (/[?&]comment=pending\b/.test(location.search)) say("Thank you. Your comment is waiting for a person to read it.");
    if (listed.status === "rejected") say("The comments cannot be loaded at the moment.");
    if (open) {
      const kept = recall(slot + ":draft", {});
      for (const name of ["name", "email", "url", "body"]) fields[name].input.value = typed[name] || kept[name] || "";
      parent = kept.body ? kept.parent : null;
      answer(null);
      if (kept.body && kept.parent) answer({ id: kept.parent.id, author: { name: kept.parent.name } });
    }
    await Promise.allSettled(receipts().map((r) => mine(r)));
    if (location.hash.startsWith("#comment-")) document.getElementById(location.hash.slice(1))?.scrollIntoView();
  };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start); else start();
})();

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
  const proofSlot = `anteroom:${site}:proof`;
  const recall = (key) => {
    try { return JSON.parse(localStorage.getItem(key)); } catch { return null; }
  };
  const remember = (key, value) => {
    try {
      if (value === null) localStorage.removeItem(key);
      else localStorage.setItem(key, JSON.stringify(value));
    } catch { /* A browser that keeps nothing can still comment. */ }
  };
  // Other scripts of the page can write there, too: what has not the expected shape counts as absent.
  const isText = (value) => typeof value === "string" && value !== "";
  const isId = (value) => isText(value) && /^[0-9a-f-]{32,36}$/i.test(value);
  const textOr = (value) => (isText(value) ? value : "");
  const receipts = () => {
    const kept = recall(slot + ":receipts");
    return Array.isArray(kept) ? kept.filter((r) => isId(r?.id) && isText(r.receipt)) : [];
  };
  const proof = () => textOr(recall(proofSlot)) || undefined;
  const drafted = () => {
    const { name, url, body, parent: above } = recall(slot + ":draft") ?? {};
    const parent = isText(body) && isId(above?.id) ? { id: above.id, name: textOr(above.name) } : null;
    return { name: textOr(name), url: textOr(url), body: textOr(body), parent };
  };
  const keepReceipt = (id, receipt) => {
    remember(slot + ":receipts", [...receipts().filter((r) => r.id !== id), { id, receipt }].slice(-20));
    remember(proofSlot, receipt);
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
    } catch { box.append(el("p", { class: "ar-plain" }, body)); }
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
  const more = el("p", { class: "ar-actions" });
  const fields = {};
  // By id: what readers see, and what only its author sees here.
  const shown = new Map(), waiting = new Map();
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
    const item = el("li", { class: "ar-comment", id: "comment-" + comment.id, tabindex: "-1" },
      el("img", { class: "ar-avatar", src: comment.author.avatar, alt: "", width: 40, height: 40, loading: "lazy" }),
      head(comment), rich(comment),
      el("div", { class: "ar-foot" }, open
        ? el("button", { type: "button", class: "ar-reply", click: () => answer(comment) }, "Reply", el("span", { class: "ar-hidden" }, " to " + comment.author.name))
        : null));
    shown.set(comment.id, { comment, item });
    return item;
  };
  // Every answer stands under what it answers, as on the page without script; what only its author sees stands apart.
  // Ids sort by age. An answer never comes before what it answers, so there is no circle.
  const arrange = () => {
    const answers = new Map([[null, []]]);
    for (const id of [...shown.keys()].sort()) {
      const { parent: above } = shown.get(id).comment;
      const under = shown.has(above) && above < id ? above : null;
      answers.set(under, [...(answers.get(under) || []), id]);
    }
    const own = [...waiting.keys()].sort().map((id) => waiting.get(id));
    if (order === "newest") [answers.get(null), own].forEach((some) => some.reverse());
    const items = [];
    const lay = (ids, depth) => ids.forEach((id) => {
      const { item } = shown.get(id);
      item.className = `ar-comment ar-d${Math.min(depth, 4)}`;
      items.push(item);
      lay(answers.get(id) || [], depth + 1);
    });
    lay(answers.get(null), 0);
    if (order === "newest") items.unshift(...own); else items.push(...own);
    // Only what stands elsewhere is moved, for whatever is moved loses the focus.
    items.forEach((item, at) => { if (list.children[at] !== item) list.insertBefore(item, list.children[at] ?? null); });
    while (list.children.length > items.length) list.lastElementChild.remove();
  };
  const page = async (cursor) => {
    const url = ofSite("comments");
    url.search = new URLSearchParams({ thread, order, limit: 200, ...(cursor && { cursor }) });
    const { ok, data } = await call(url);
    if (!ok) throw new Error(data.title);
    if (!cursor) shown.clear();
    data.comments.forEach(put);
    arrange();
    total = data.total;
    show();
    const onward = () => page(data.next_cursor).then(allMine, () => say(OFFLINE));
    more.replaceChildren(...(data.next_cursor ? [button("Show more comments", onward, "ar-button")] : []));
  };

  // ---- one's own comments: where they stand, edit, withdraw ------------------------------------------------------
  const REASONS = { spam: "It was taken for advertising.", abuse: "It was taken for an attack on somebody.", quality: "It says too little to be published.", policy: "It goes against the rules of this site." };
  const why = ({ reply, label }) => reply || REASONS[label] || "";
  const badge = (isRefused, words) => el("div", { class: "ar-badge" + (isRefused ? " ar-no" : "") }, words);
  const mine = async ({ id, receipt }, fresh) => {
    const { ok, status: code, data } = fresh ? { ok: true, data: fresh } : await call(api("comments/" + id), { receipt });
    if (code === 404 || code === 401 || data.status === "withdrawn") {
      dropReceipt(id);
      waiting.delete(id);
      return arrange();
    }
    if (!ok) return;
    const { comment, edit: change } = data;
    const text = comment.body;
    // A change that waits, or was refused, leaves what readers see where it is.
    const isPublic = data.status === "approved" || data.public_version != null;
    const isRefused = data.status === "rejected";
    const editable = data.can_edit ?? new Date(data.edit_until) > Date.now();
    const receiptPage = new URL(`c/${id}?receipt=${encodeURIComponent(receipt)}`, base);
    const foot = el(isPublic ? "span" : "div", { class: isPublic ? "ar-own" : "ar-foot" },
      editable ? button("Edit", () => edit()) : null,
      button("Withdraw", () => withdraw()),
      el("a", { class: "ar-reply", href: receiptPage, rel: "noreferrer" }, isRefused ? "See why, or appeal" : "Where it stands"));
    let item = shown.get(id)?.item;
    if (isPublic) {
      waiting.delete(id);
      arrange();
      if (!item) return;
      item.querySelectorAll(".ar-own, .ar-change").forEach((old) => old.remove());
      item.lastElementChild.append(foot);
      const isNo = change?.status === "rejected";
      if (change) item.lastElementChild.before(el("div", { class: "ar-change" },
        badge(isNo, isNo ? `Your change was not published. ${why(change)}` : "Your change is waiting for a person to read it. Until then readers see the text above."),
        rich(comment)));
    } else {
      const to = shown.get(comment.parent)?.comment.author.name;
      item = el("li", { class: "ar-comment ar-mine", id: "comment-" + id, tabindex: "-1" },
        badge(isRefused, isRefused ? `Not published. ${why(data)}` : "Waiting for a person to read it. Only you can see it here."),
        comment.parent ? el("p", { class: "ar-note" }, "Your reply to ", to ? el("bdi", {}, to) : "another comment") : null,
        rich(comment), foot);
      shown.delete(id);
      waiting.set(id, item);
      arrange();
    }
    const edit = () => {
      const area = el("textarea", { rows: 6, "aria-label": "Your comment" });
      const error = el("p", { class: "ar-error", role: "alert" });
      area.value = text;
      const box = el("div", { class: "ar-field" }, area, error, el("p", { class: "ar-actions" },
        button("Save changes", async () => {
          try {
            const result = await call(api("comments/" + id), { method: "PATCH", json: { body: area.value }, receipt });
            // A refusal has the id of what was kept: the page then shows it beside its reason.
            if (!result.ok && !result.data.id) { error.textContent = sentence(result.data.errors?.[0]?.detail) || trouble(result); return; }
            say(!result.ok ? `Your change was not published. ${sentence(result.data.detail)}`
              : result.data.status === "approved" ? "Your change is published." : "Your change is saved. A person will read it before it appears.");
            await refresh();
            status.focus();
          } catch { error.textContent = OFFLINE; }
        }, "ar-button"),
        button("Cancel", () => { box.replaceWith(foot); foot.firstChild.focus(); })));
      foot.replaceWith(box);
      area.focus();
    };
    const withdraw = async () => {
      if (!confirm("Withdraw this comment? This cannot be undone.")) return;
      try {
        const result = await call(api("comments/" + id), { method: "DELETE", receipt });
        if (!result.ok) return say(trouble(result));
        dropReceipt(id);
        waiting.delete(id);
        say("Your comment is withdrawn.");
        await refresh();
        status.focus();
      } catch { say(OFFLINE); }
    };
    return item;
  };
  const allMine = () => Promise.allSettled(receipts().map((r) => mine(r)));
  const refresh = async () => {
    await page();
    await allMine();
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
  const aim = (comment) => {
    parent = comment;
    heading.replaceChildren(...(parent ? ["Reply to ", el("bdi", {}, parent.name)] : ["Leave a reply"]));
    cancel.hidden = !parent;
  };
  const answer = (comment) => {
    aim(comment && { id: comment.id, name: comment.author.name });
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
  // What no field shows cannot be corrected in one: it is dropped, and the next attempt goes without.
  const letGo = (path) => {
    if (path === "parent") {
      answer(null);
      return "The comment you answer is not here any more. Send it again to answer the post.";
    }
    if (path !== "author.proof") return null;
    remember(proofSlot, null);
    return "What this browser kept of you cannot be used and is forgotten now. Please send it again.";
  };
  const submit = async (send) => {
    if (send.getAttribute("aria-disabled")) return;
    const value = (name) => fields[name].input.value;
    const json = {
      thread: { key: thread, url: script.dataset.url || location.origin + location.pathname, title: script.dataset.title || document.title },
      parent: parent?.id ?? null,
      author: { name: value("name"), email: value("email"), proof: proof() },
      body: value("body"),
      form: { stamp: stamp.stamp, trap: value("trap") },
    };
    if (value("url").trim()) json.author.url = value("url");
    // One key an attempt: sending the same again after a lost answer finds the first answer; other content is another attempt.
    const content = JSON.stringify([json.parent, json.author, json.body]);
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
        if (isPublished) { total += 1; show(); item = put(data.comment); }
        item = (await mine(data, data)) || item;
        say(isPublished ? "Thank you. Your comment is published." : "Thank you. Your comment is waiting for a person to read it.");
        attempt = { key: newKey(), content: "" };
        (item || status).focus();
        stamp = (await call(formUrl())).data;
        return;
      }
      if (data.id && data.receipt) {
        // Refused, and told so: the same block as after a reload, with the way to appeal. The text stays to be reworked.
        const item = await mine(data);
        say("Your comment was not published.");
        (item || status).focus();
        return;
      }
      let first;
      const other = [];
      for (const { field: path, detail } of data.errors || []) {
        const name = PLACES[path];
        if (!name) { other.push(letGo(path) || `This page sends something wrong (${path}: ${detail}). Please tell its owner.`); continue; }
        mark(name, sentence(detail));
        if (!first || fields[name].input.compareDocumentPosition(first) & Node.DOCUMENT_POSITION_FOLLOWING) first = fields[name].input;
      }
      if (result.status === 404 && parent) other.push(letGo("parent"));
      if (first) other.push("Please correct what is marked.");
      say(other.join(" ") || trouble(result));
      (first || status).focus();
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
      open ? build() : el("p", { class: "ar-closed", id: "reply" }, "This discussion is closed. You can still read it."));
    if (/[?&]comment=pending\b/.test(location.search)) say("Thank you. Your comment is waiting for a person to read it.");
    if (listed.status === "rejected") say("The comments cannot be loaded at the moment.");
    if (open) {
      const kept = drafted();
      for (const name of ["name", "email", "url", "body"]) fields[name].input.value = typed[name] || kept[name] || "";
      aim(kept.parent);
    }
    await allMine();
    if (location.hash.startsWith("#comment-")) document.getElementById(location.hash.slice(1))?.scrollIntoView();
  };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start); else start();
})();

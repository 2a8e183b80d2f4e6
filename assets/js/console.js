// What makes every page nicer; each works without it.

// "/" goes to the search, unless one is typing.
addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, textarea, select, [contenteditable]")) return;
  const search = document.getElementById("search");
  if (search && search.checkVisibility()) {
    event.preventDefault();
    search.focus();
  }
});

// One menu at a time; Escape and a click elsewhere close it.
const menus = document.querySelectorAll("details.menu");
const close = (except) => {
  for (const menu of menus) if (menu !== except && menu.open) menu.open = false;
};
addEventListener("click", (event) => close(event.target.closest("details.menu")));
addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const open = document.querySelector("details.menu[open]");
  close();
  open?.querySelector("summary").focus();
});

// A form is sent once, however often its button is pressed.
addEventListener("submit", (event) => {
  if (event.defaultPrevented) return;
  if (event.target.dataset.sent) event.preventDefault();
  else event.target.dataset.sent = "1";
});
addEventListener("pageshow", () => {
  for (const form of document.forms) delete form.dataset.sent;
});

// An answer that takes its time: the page says that it is on its way.
let late;
const wait = () => {
  arrive();
  late = setTimeout(() => {
    const note = document.createElement("p");
    note.className = "toast loading";
    note.textContent = "Loading…";
    document.getElementById("toasts")?.append(note);
  }, 400);
};
const arrive = () => {
  clearTimeout(late);
  document.querySelector(".loading")?.remove();
};
addEventListener("submit", (event) => event.defaultPrevented || wait());
addEventListener("click", (event) => {
  const link = event.target.closest("a[href]:not([download], [target])");
  if (!link || event.defaultPrevented || event.button) return;
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey || link.origin !== location.origin) return;
  if (!link.hash || link.pathname !== location.pathname || link.search !== location.search) wait();
});
for (const over of ["pagehide", "pageshow"]) addEventListener(over, arrive);

// Copying, and saying so.
const copied = async (button, text) => {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // The clipboard is closed to pages that came without TLS from another machine.
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  button.textContent = "Copied";
  setTimeout(() => (button.textContent = "Copy"), 1500);
};

// Leaving a secret that was not saved asks once.
const unsaved = document.querySelector("[data-unsaved]");
if (unsaved) {
  const ask = (event) => {
    event.preventDefault();
    // Runs once the question was answered, if the page stays.
    setTimeout(arrive, 500);
  };
  addEventListener("beforeunload", ask);
  unsaved.querySelector("[data-saved]").addEventListener("click", () => removeEventListener("beforeunload", ask));
}

// What is done to a part of a page once it is there.
const enhance = (part) => {
  // The exact time in the reader's own time zone.
  for (const time of part.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    time.title = at.toLocaleString(undefined, { dateStyle: "long", timeStyle: "long" });
  }
  // What is to be copied gets a button for it.
  for (const shown of part.querySelectorAll("[data-copy]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy quiet";
    button.textContent = "Copy";
    // Named by what stands before it: a secret must not be read aloud.
    const name = shown.getAttribute("aria-label") ?? shown.parentElement.previousElementSibling?.textContent ?? "";
    button.setAttribute("aria-label", `Copy: ${name}`);
    button.addEventListener("click", () => copied(button, shown.textContent));
    if (shown.tagName === "PRE") {
      const box = document.createElement("div");
      box.className = "with-copy";
      shown.replaceWith(box);
      box.append(shown, button);
    } else {
      shown.after(button);
    }
  }

  // Long lists to pick from are found in by typing. Without scripts, a button asks the server where it can.
  for (const list of part.querySelectorAll("[data-filter]")) {
    const find = list.parentElement.querySelector(":scope > .find");
    find?.querySelector("button").remove();
    const input = find?.querySelector("input") ?? document.createElement("input");
    if (!find) {
      input.type = "search";
      input.placeholder = list.dataset.filter;
      input.setAttribute("aria-label", list.dataset.filter);
      list.before(input);
    }
    const groups = [...list.querySelectorAll("details")].map((group) => [group, group.open]);
    input.addEventListener("input", () => {
      const words = input.value.toLowerCase().split(/\s+/);
      for (const item of list.querySelectorAll("label")) {
        const text = `${item.textContent} ${item.querySelector("input").value}`.toLowerCase();
        item.hidden = !words.every((word) => text.includes(word));
      }
      for (const [group, first] of groups) {
        group.hidden = !group.querySelector("label:not([hidden])");
        // What is ticked stays in sight.
        group.open = first || words.some(Boolean) || !!group.querySelector(":checked");
      }
    });
    input.addEventListener("keydown", (event) => {
      if (event.key === "Enter") event.preventDefault();
    });
  }

  // What is needed has to be there before a form is sent; of two halves, in the one that is picked.
  for (const field of part.querySelectorAll("[data-needed]")) {
    const { form } = field;
    const kind = field.closest("[data-kind]")?.dataset.kind;
    const need = () => (field.required = !kind || form.elements.kind.value === kind);
    form.addEventListener("input", need);
    need();
  }

  // A sentence says what is picked in its form.
  for (const form of part.querySelectorAll("[data-says]")) {
    const date = form.querySelector("[name=date]");
    const say = () => {
      for (const said of form.querySelectorAll("[data-say]")) {
        const name = said.dataset.say;
        const picked = form.querySelector(`[name=${name}]:checked, [name=${name}] option:checked`);
        said.dataset.unpicked ??= said.textContent;
        const on = date?.valueAsDate?.toLocaleDateString("en-GB", { dateStyle: "medium", timeZone: "UTC" });
        const words = picked?.dataset.words || (picked && on && `until the end of ${on}, UTC`);
        said.textContent = words || said.dataset.unpicked;
      }
    };
    date?.addEventListener("input", () => (form.elements.until.value = date.value ? "date" : form.elements.until.value));
    form.addEventListener("input", say);
    say();
  }
};
enhance(document);

// What happens elsewhere shows here by itself: while the page is looked at, it listens.
const main = document.getElementById("main");
let since = document.body.dataset.since;
let source;

const toast = (text, href) => {
  const note = document.createElement("p");
  note.className = "toast";
  const link = document.createElement("a");
  link.href = href;
  link.textContent = text;
  note.append(link);
  document.getElementById("toasts").append(note);
  setTimeout(() => note.remove(), 20000);
};

const isChanged = (field) => {
  if (field.tagName === "SELECT") {
    const first = [...field.options].findIndex((option) => option.defaultSelected);
    return field.selectedIndex !== Math.max(first, 0);
  }
  if (field.type === "checkbox" || field.type === "radio") return field.checked !== field.defaultChecked;
  return field.value !== field.defaultValue;
};
const isTyping = () => [...main.querySelectorAll("input:not([type=hidden]), textarea, select")].some(isChanged);

let told;
const renew = async () => {
  if (document.querySelector("[data-unsaved]")) return;
  // What was typed or ticked is not taken away: the reader decides when to look.
  if (isTyping()) return told || toast((told = "This page has changed. Load it again to see."), location.href);
  const answer = await fetch(location.href, { headers: { accept: "text/html" } });
  if (!answer.ok || answer.redirected) return location.reload();
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.getElementById("main");
  enhance(fresh);
  Object.assign(main.dataset, fresh.dataset);
  main.replaceChildren(...fresh.childNodes);
};

// One at a time; what happens meanwhile may not be in the page that is on its way, so that it is fetched once more.
let stale = false;
let refreshing = false;
const refresh = async () => {
  stale = true;
  if (refreshing) return;
  refreshing = true;
  try {
    while (stale) {
      stale = false;
      await renew();
    }
  } finally {
    refreshing = false;
  }
};

const listen = () => {
  if (since === undefined || source) return;
  source = new EventSource(`/live?since=${encodeURIComponent(since)}`);
  source.addEventListener("request", (event) => {
    since = event.lastEventId;
    const told = JSON.parse(event.data);
    const here = main.dataset.request === told.id;
    if (here && Number(main.dataset.version) < told.version) refresh();
    if (main.dataset.live === "list") refresh();
    if (told.toast && !here && main.dataset.shows !== "everybodys") toast(told.toast, told.href);
  });
  source.addEventListener("waiting", (event) => {
    for (const link of document.querySelectorAll('.side a[href="/access-requests"], .dock a[href="/access-requests"]')) {
      link.querySelector(".count")?.remove();
      const count = Number(event.data);
      if (!count) continue;
      const badge = document.createElement("span");
      badge.className = "count";
      badge.textContent = String(count);
      link.append(" ", badge);
    }
  });
};
const rest = () => {
  source?.close();
  source = undefined;
};
// A browser opens few connections to one place: tabs that nobody looks at give theirs back.
addEventListener("visibilitychange", () => (document.visibilityState === "visible" ? listen() : rest()));
addEventListener("pagehide", rest);
addEventListener("pageshow", () => document.visibilityState === "visible" && listen());

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

// The exact time in the reader's own time zone.
for (const time of document.querySelectorAll("time[datetime]")) {
  const at = new Date(time.dateTime);
  time.title = at.toLocaleString(undefined, { dateStyle: "long", timeStyle: "long" });
}

// A form is sent once, however often its button is pressed.
addEventListener("submit", (event) => {
  if (event.defaultPrevented) return;
  if (event.target.dataset.sent) event.preventDefault();
  else event.target.dataset.sent = "1";
});
addEventListener("pageshow", () => {
  for (const form of document.forms) delete form.dataset.sent;
});

// What is to be copied gets a button for it.
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
for (const shown of document.querySelectorAll("[data-copy]")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy quiet";
  button.textContent = "Copy";
  button.setAttribute("aria-label", `Copy ${shown.getAttribute("aria-label") ?? shown.textContent}`);
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

// Leaving a secret that was not saved asks once.
const unsaved = document.querySelector("[data-unsaved]");
if (unsaved) {
  const ask = (event) => event.preventDefault();
  addEventListener("beforeunload", ask);
  unsaved.querySelector("[data-saved]").addEventListener("click", () => removeEventListener("beforeunload", ask));
}

// Long lists to pick from are found in by typing.
for (const list of document.querySelectorAll("[data-filter]")) {
  const input = document.createElement("input");
  input.type = "search";
  input.placeholder = list.dataset.filter;
  input.setAttribute("aria-label", list.dataset.filter);
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/);
    for (const item of list.children) {
      const text = `${item.textContent} ${item.querySelector("input").value}`.toLowerCase();
      item.hidden = !words.every((word) => text.includes(word));
    }
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter") event.preventDefault();
  });
  list.before(input);
}

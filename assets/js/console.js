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

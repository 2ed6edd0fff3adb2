// Adds search while typing, keyboard shortcuts, a slider and buttons that copy to the gallery. Every page works without it.
"use strict";

const form = document.getElementById("search");
const input = form && form.elements.q;
const WAIT = 150; // milliseconds after the last key

let latest = 0; // number of the latest request: a late response to an earlier one is dropped
let timer = 0;

function address() {
  const fields = [...new FormData(form)].filter(([name, value]) => value && !(name === "sort" && value === "newest"));
  const query = new URLSearchParams(fields).toString();
  return query ? `/?${query}` : "/";
}

async function show() {
  clearTimeout(timer);
  const target = address();
  const number = ++latest;
  let page;
  try {
    const answer = await fetch(target, { headers: { Accept: "text/html" } });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    page = new DOMParser().parseFromString(await answer.text(), "text/html");
  } catch {
    if (number === latest) location.assign(target); // the browser shows what is wrong
    return;
  }
  if (number !== latest) return;
  document.getElementById("colours").setAttribute("href", page.getElementById("colours").getAttribute("href"));
  document.getElementById("results").replaceWith(document.adoptNode(page.getElementById("results")));
  document.title = page.title;
  document.getElementById("announce").textContent = document.getElementById("summary").textContent;
  history.replaceState(null, "", target);
}

function tiles() {
  return [...document.querySelectorAll("#grid .card")];
}

// Returns the tile that an arrow key leads to from the one at `from`; rows are found by their position on the page.
function neighbour(all, from, key) {
  if (key === "ArrowRight") return from + 1;
  if (key === "ArrowLeft") return from - 1;
  if (key === "Home") return 0;
  if (key === "End") return all.length - 1;
  const top = all[0].offsetTop;
  let columns = all.findIndex((tile) => tile.offsetTop !== top);
  if (columns < 0) columns = all.length;
  return key === "ArrowDown" ? from + columns : from - columns;
}

function move(event) {
  const all = tiles();
  const from = all.indexOf(document.activeElement);
  if (from < 0) {
    if (event.key === "ArrowDown" && document.activeElement === input && all.length) {
      event.preventDefault();
      all[0].focus();
    }
    return;
  }
  event.preventDefault();
  const to = neighbour(all, from, event.key);
  if (to >= 0 && to < all.length) all[to].focus();
  else if (event.key === "ArrowUp" && input) input.focus();
}

function escape(event) {
  const back = document.getElementById("back");
  if (back) {
    location.assign(back.href);
  } else if (document.activeElement === input) {
    event.preventDefault();
    if (input.value) {
      input.value = "";
      show();
    } else {
      input.blur();
    }
  } else if (input) {
    input.focus();
  }
}

// Leads to the image before or after this one. Returns whether there is one.
function turn(key) {
  const link = document.getElementById(key === "ArrowLeft" ? "previous" : key === "ArrowRight" ? "next" : "");
  if (link) location.assign(link.href);
  return Boolean(link);
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.defaultPrevented) return;
  const typing = event.target.matches("input, select, textarea");
  if (event.key === "/" && !typing && input) {
    event.preventDefault();
    input.focus();
    input.select();
  } else if (event.key === "Escape") {
    escape(event);
  } else if (!form && !typing && turn(event.key)) {
    event.preventDefault();
  } else if (event.key.startsWith("Arrow") || (!typing && (event.key === "Home" || event.key === "End"))) {
    move(event);
  }
});

if (form) {
  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(show, WAIT);
  });
  form.addEventListener("change", (event) => {
    if (event.target !== input) show();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    show();
  });
}

const compare = document.getElementById("compare");

if (compare) {
  const slider = compare.querySelector(".slider");
  const range = slider.querySelector("input");
  const over = compare.querySelector(".over");
  const show = () => over.style.setProperty("clip-path", `inset(0 ${100 - range.value}% 0 0)`);
  compare.classList.add("is-live");
  slider.hidden = false;
  range.addEventListener("input", show);
  show();
}

for (const button of document.querySelectorAll(".copy")) {
  if (!navigator.clipboard) break; // pages from other addresses than localhost, over http
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.dataset.copy);
    document.getElementById("copied").textContent = `${button.textContent}: done`;
    button.classList.add("is-done");
    setTimeout(() => button.classList.remove("is-done"), 1500);
  });
}

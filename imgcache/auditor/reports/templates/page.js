// Filters the findings and sorts the tables. Without it the page shows everything.
"use strict";

const form = document.getElementById("filters");

if (form) {
  const cards = [...document.querySelectorAll("#groups .card")];
  const groups = [...document.querySelectorAll("#groups > .group")];
  const summary = document.getElementById("summary");
  const nothing = document.getElementById("nothing");
  const texts = cards.map((card) => card.textContent.toLowerCase());
  const all = summary.textContent;
  const number = new Intl.NumberFormat("en");

  const show = () => {
    const words = form.elements.text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = [...form.querySelectorAll("select")].filter((select) => select.value);
    let shown = 0;
    cards.forEach((card, index) => {
      const matches =
        wanted.every((select) => card.dataset[select.name] === select.value) &&
        words.every((word) => texts[index].includes(word));
      card.hidden = !matches;
      shown += matches;
    });
    for (const group of groups) {
      const first = group.querySelector(".card:not([hidden])");
      group.hidden = !first;
      for (const card of group.querySelectorAll(".card")) card.classList.toggle("is-first", card === first);
    }
    for (const select of form.querySelectorAll("select")) select.classList.toggle("is-on", Boolean(select.value));
    summary.textContent = shown === cards.length ? all : `${number.format(shown)} of ${all}`;
    nothing.hidden = shown > 0;
  };

  form.hidden = false;
  form.addEventListener("input", show);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(show)); // the fields are empty only afterwards
  show(); // a browser that returns to the page keeps what was typed

  document.addEventListener("keydown", (event) => {
    const field = form.elements.text;
    if (event.key === "/" && !event.target.closest("input, select") && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      field.focus();
      field.select();
    } else if (event.key === "Escape" && form.contains(event.target)) {
      form.reset();
    }
  });
}

const order = new Intl.Collator("en", { numeric: true }).compare;

function sort(table, column, descending) {
  const key = (row) => row.cells[column].dataset.sort;
  const isNumber = table.tHead.rows[0].cells[column].classList.contains("number");
  const compare = isNumber ? (one, other) => key(one) - key(other) : (one, other) => order(key(one), key(other));
  const rows = [...table.tBodies[0].rows].sort((one, other) => (descending ? compare(other, one) : compare(one, other)));
  table.tBodies[0].append(...rows);
}

for (const table of document.querySelectorAll(".sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const before = head.getAttribute("aria-sort");
      const descending = before ? before === "ascending" : head.classList.contains("number");
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", descending ? "descending" : "ascending");
      sort(table, column, descending);
    });
  });
}

"use strict";
// The page is whole without this script: it adds a panel to the plots, buttons to their legends, and
// sorting to the tables. Everything shown already stands in the page, and is moved as text and nodes.
(() => {
  /** Order values for a sort: numbers by size, texts as people list them, what is missing last. */
  function compare(a, b, descending) {
    if (a === "" || b === "") return (a === "") - (b === "");
    const numbers = [Number(a), Number(b)];
    const order = numbers.some(Number.isNaN)
      ? a.localeCompare(b, "en", { numeric: true })
      : numbers[0] - numbers[1];
    return descending ? -order : order;
  }

  /** Tell which of so many points a key leads to from one of them; null if it leads to none. */
  function next(key, at, count) {
    const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
    if (key === "Home") return 0;
    if (key === "End") return count - 1;
    return key in steps ? Math.min(Math.max(at + steps[key], 0), count - 1) : null;
  }

  if (typeof document === "undefined") {
    module.exports = { compare, next };
    return;
  }

  const REACH = 28; // pixels from a mark within which it is meant

  function make(tag, text, name) {
    const made = document.createElement(tag);
    if (text) made.textContent = text;
    if (name) made.className = name;
    return made;
  }

  async function copy(text, pre) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      getSelection().selectAllChildren(pre);
      return document.execCommand("copy");
    }
  }

  /** Put a row's recipe beside a button that copies it. */
  function recipeOf(row) {
    const source = row.querySelector("pre");
    if (!source) return null;
    const [box, bar, pre] = [make("div", "", "recipe"), make("p", row.querySelector("summary").textContent), source.cloneNode(true)];
    const button = make("button", "Copy");
    button.type = "button";
    button.addEventListener("click", async () => {
      button.textContent = (await copy(pre.textContent + "\n", pre)) ? "Copied" : "Press Ctrl+C";
    });
    bar.append(button);
    box.append(bar, pre, make("p", "vecpress fit CORPUS --recipe recipe.toml --out PRESS"));
    return box;
  }

  /** Show in the panel what a row of the table says. */
  function fill(panel, row) {
    const head = make("h4");
    head.append(row.querySelector(".mark").cloneNode(true), row.querySelector(".method").textContent);
    head.append(make("small", row.querySelector(".what").textContent));
    const list = make("dl");
    const names = row.closest("table").querySelectorAll("thead th");
    row.querySelectorAll("td").forEach((cell, place) => {
      const told = make("dd");
      told.append(...cell.cloneNode(true).childNodes);
      const name = names[place + 1];
      const term = make("dt", name.textContent);
      term.title = name.title;
      const pair = make("div");
      pair.append(term, told);
      list.append(pair);
    });
    panel.replaceChildren(head, list, ...[recipeOf(row)].filter(Boolean));
  }

  function explore(figure) {
    const plot = figure.querySelector(".plot");
    const panel = figure.querySelector(".panel");
    const place = (point, axis) => parseFloat(point.getAttribute(axis));
    const all = [...plot.querySelectorAll(".point")];
    all.sort((a, b) => place(a, "x") - place(b, "x") || place(b, "y") - place(a, "y"));
    let pinned = null;

    function show(point) {
      all.forEach((other) => {
        other.classList.toggle("shown", other === point);
        other.setAttribute("tabindex", other === point ? "0" : "-1");
      });
      fill(panel, document.getElementById(point.dataset.row));
    }

    function pin(point) {
      pinned = pinned === point ? null : point;
      all.forEach((other) => other.setAttribute("aria-pressed", String(other === pinned)));
      show(point);
    }

    figure.classList.add("live");
    panel.hidden = false;
    show(all.find((point) => point.dataset.row === figure.dataset.start));
    all.forEach((point) => {
      point.setAttribute("role", "button");
      point.setAttribute("aria-pressed", "false");
      point.querySelector("title").remove(); // the panel says more; aria-label stays
      point.addEventListener("focus", () => pinned || show(point));
    });

    /** Find the mark nearest to the pointer: marks overlap, and a finger is wide. */
    function nearest(event) {
      const box = plot.querySelector("svg").getBoundingClientRect();
      const away = (point) =>
        Math.hypot(
          box.left + (box.width * place(point, "x")) / 100 - event.clientX,
          box.top + (box.height * place(point, "y")) / 100 - event.clientY,
        );
      const seen = all.filter((point) => !point.classList.contains("off"));
      const best = seen.reduce((a, b) => (a && away(a) <= away(b) ? a : b), null);
      return best && away(best) <= REACH ? best : null;
    }

    plot.addEventListener("pointermove", (event) => {
      const point = nearest(event);
      plot.classList.toggle("near", point !== null);
      if (point && !pinned) show(point);
    });
    plot.addEventListener("click", (event) => {
      const point = nearest(event);
      if (point) pin(point);
    });
    plot.addEventListener("keydown", (event) => {
      const seen = all.filter((point) => !point.classList.contains("off"));
      const at = seen.indexOf(event.target.closest(".point"));
      if (at < 0) return;
      const to = next(event.key, at, seen.length);
      if (to !== null) {
        pinned = null;
        seen[to].focus();
      } else if (event.key === "Enter" || event.key === " ") pin(seen[at]);
      else if (event.key === "Escape") pinned = null;
      else return;
      event.preventDefault();
    });
    figure.querySelectorAll(".legend .key").forEach((key) => toggle(key, plot, all));
  }

  /** Make an entry of the legend a button that hides its marks and shows them again. */
  function toggle(key, plot, all) {
    const button = make("button", "", "key");
    button.type = "button";
    button.append(...key.childNodes);
    button.setAttribute("aria-pressed", "true");
    button.addEventListener("click", () => {
      const isShown = button.getAttribute("aria-pressed") === "false";
      button.setAttribute("aria-pressed", String(isShown));
      plot.querySelectorAll("[data-group]").forEach((mark) => {
        if (mark.dataset.group === key.dataset.group) mark.classList.toggle("off", !isShown);
      });
      const seen = all.filter((point) => !point.classList.contains("off"));
      if (seen.length && !seen.some((point) => point.getAttribute("tabindex") === "0"))
        seen[0].setAttribute("tabindex", "0");
    });
    key.replaceWith(button);
  }

  function sortable(table) {
    const heads = [...table.querySelectorAll("thead th")];
    heads.forEach((head, column) => {
      const button = make("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const first = head.dataset.sort === "number" ? "descending" : "ascending";
        const other = first === "ascending" ? "descending" : "ascending";
        const order = head.getAttribute("aria-sort") === first ? other : first;
        heads.forEach((one) => one.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", order);
        const body = table.tBodies[0];
        const value = (row) => row.cells[column].dataset.v;
        const rows = [...body.rows];
        rows.sort((a, b) => compare(value(a), value(b), order === "descending"));
        body.append(...rows);
      });
    });
  }

  document.querySelectorAll("figure.pareto").forEach(explore);
  document.querySelectorAll("table.full").forEach(sortable);
})();

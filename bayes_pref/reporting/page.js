"use strict";
// Tables of a report that sort, filter and turn pages. Every text from the data reaches the page as
// the text of a node, never as markup.
(() => {
  const SEPARATOR = "\u001f"; // where a number stood in a sentence; no label holds it
  const collator = new Intl.Collator("en", { numeric: true });
  const whole = new Intl.NumberFormat("en-US");
  const signed = new Intl.NumberFormat("en-US", { signDisplay: "exceptZero", maximumSignificantDigits: 4 });
  const plain = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 4, useGrouping: false });

  function make(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (value === true) node.setAttribute(name, "");
      else if (value !== false && value !== null) node.setAttribute(name, value);
    }
    node.append(...children);
    return node;
  }

  // A column as functions of a row's number: its text, and a number to sort by.
  function column(spec) {
    const { values, levels } = spec;
    if (spec.kind === "number") {
      const at = (row) => (values[row] === null ? NaN : values[row] / spec.scale);
      const text = (row, most) => { // small numbers keep the digits that they need
        const digits = spec.digits > 3 ? spec.digits : Math.min(spec.digits, most ?? spec.digits);
        const value = at(row);
        return Number.isNaN(value) ? "–" : value.toFixed(digits);
      };
      return { ...spec, text, key: at };
    }
    if (spec.kind === "sentence") {
      const text = (row) => {
        const [first, ...rest] = spec.templates[values[row]].split(SEPARATOR);
        const numbers = spec.numbers[row].split(" ");
        return rest.reduce((said, part, k) => said + numbers[k] + part, first);
      };
      return { ...spec, text, key: (row) => values[row] };
    }
    let rank = levels.map((_, k) => k);
    if (!spec.ordered) {
      const order = [...rank].sort((a, b) => collator.compare(levels[a], levels[b]));
      order.forEach((level, place) => { rank[level] = place; });
    }
    return { ...spec, text: (row) => levels[values[row]], key: (row) => rank[values[row]] };
  }

  class Explorer {
    constructor(root, data) {
      Object.assign(this, { root, data, page: 0, size: 50, opened: new Set() });
      this.columns = new Map(data.columns.map((spec) => [spec.name, column(spec)]));
      this.filters = { text: "", verdict: "", user: "", feature: "" };
      this.sorting = { by: data.sort, down: false };
      this.build();
      this.refresh();
    }

    // Texts to search, in lower case; made when first needed.
    get haystack() {
      if (!this.texts) {
        const said = [...this.columns.values()].filter((each) => each.kind !== "number");
        this.texts = Array.from({ length: this.data.rows }, (_, row) =>
          [...said.map((each) => each.text(row)), ...this.chips(row).map((chip) => chip.text)]
            .join(" \n").toLowerCase());
      }
      return this.texts;
    }

    chips(row) {
      const { pairs } = this.data;
      if (!pairs) return [];
      const found = [];
      for (const [feature, first, second] of pairs.differences[row]) {
        const name = pairs.features[feature];
        let text = `${name} ${signed.format(first)}`;
        if (second !== undefined) text = `${name} ${plain.format(first)} against ${plain.format(second)}`;
        else if (pairs.items[feature]) text = `${first > 0 ? "left" : "right"}: ${name}`;
        found.push({ text });
      }
      if (pairs.left_out[row]) found.push({ text: `and ${pairs.left_out[row]} more` });
      for (const [context, value] of pairs.context[row]) {
        found.push({ text: `${pairs.contexts[context]} = ${plain.format(value)}`, context: true });
      }
      return found;
    }

    build() {
      const { data } = this;
      this.status = make("span", { role: "status", "aria-live": "polite" });
      this.head = make("tr");
      this.body = make("tbody");
      const table = make("table", { "aria-label": data.noun }, make("thead", {}, this.head), this.body);
      this.root.replaceChildren(this.controls(), this.pager(true), table, this.pager(false));
    }

    controls() {
      const { data } = this;
      const fields = [];
      const field = (name, title, input) => {
        input.addEventListener("input", () => this.filter(name, input.value));
        this[`${name}Input`] = input;
        fields.push(make("label", { class: name === "text" ? "search" : name }, title, input));
      };
      const choices = (any, entries) =>
        make("select", {}, make("option", { value: "" }, any),
          ...entries.map(([value, text]) => make("option", { value }, text)));
      field("text", "Search (key /)", make("input", { type: "search", autocomplete: "off" }));
      const verdict = this.columns.get("verdict");
      if (verdict) {
        const counts = verdict.levels.map(() => 0);
        verdict.values.forEach((level) => { counts[level] += 1; });
        field("verdict", "Verdict", choices("all", verdict.levels.map((name, k) => [name, `${name} (${whole.format(counts[k])})`])));
      }
      if (data.pairs) {
        const names = this.columns.get("user").levels;
        const list = make("datalist", { id: `${this.root.id}-users` },
          ...names.slice(0, 5000).map((value) => make("option", { value })));
        field("user", "User", make("input", { type: "search", list: list.id, autocomplete: "off" }));
        fields.push(list);
        const { features } = data.pairs;
        field("feature", "Differs in", choices("any feature", features.map((name, k) => [k, name])));
      }
      const sorts = [...this.columns.values()].filter((each) => each.kind !== "sentence");
      this.sortInput = make("select", { oninput: () => this.sort(this.sortInput.value, false) },
        ...sorts.map((each) => make("option", { value: each.name }, each.title)));
      fields.push(make("label", {}, "Sort by", this.sortInput));
      fields.push(make("button", { type: "button", onclick: () => this.sort(this.sorting.by, !this.sorting.down) }, "Reverse"));
      fields.push(make("button", { type: "button", onclick: () => this.reset() }, "Show all"));
      return make("div", { class: "controls", role: "search", "aria-label": `Filter ${data.noun}` }, ...fields);
    }

    pager(top) {
      const turn = (text, title, step) => make("button", { type: "button", "aria-label": title, title, onclick: () => this.turn(step) }, text);
      const back = [turn("«", "First page", -Infinity), turn("‹", "Previous page (key p)", -1)];
      const on = [turn("›", "Next page (key n)", 1), turn("»", "Last page", Infinity)];
      this.back = [...(this.back ?? []), ...back];
      this.on = [...(this.on ?? []), ...on];
      const sizes = make("select", { oninput: () => { this.size = Number(sizes.value); this.page = 0; this.draw(); } },
        ...[50, 200, 1000].map((size) => make("option", { value: size }, size)));
      const rest = top ? [this.status] : [make("label", {}, "Rows on a page ", sizes)];
      return make("nav", { class: "pager", "aria-label": `Pages of ${this.data.noun}, ${top ? "above" : "below"}` }, ...back, ...on, ...rest);
    }

    filter(name, value) {
      this.filters[name] = value;
      if (this[`${name}Input`].value !== value) this[`${name}Input`].value = value;
      this.page = 0;
      this.refresh();
    }

    only(filters) {
      for (const name of Object.keys(this.filters)) {
        this.filters[name] = filters[name] ?? "";
        if (this[`${name}Input`]) this[`${name}Input`].value = this.filters[name];
      }
      this.page = 0;
      this.refresh();
      this.root.scrollIntoView();
    }

    reset() {
      this.sorting = { by: this.data.sort, down: false };
      this.only({});
    }

    sort(by, down) {
      this.sorting = { by, down };
      this.page = 0;
      this.refresh();
    }

    turn(step) {
      const last = Math.max(Math.ceil(this.found.length / this.size) - 1, 0);
      this.page = Math.min(Math.max(this.page + step, 0), last);
      this.draw();
    }

    // Which rows are shown, in which order.
    refresh() {
      const { text, verdict, user, feature } = this.filters;
      const tests = [];
      const words = text.toLowerCase().split(/\s+/).filter(Boolean);
      if (words.length) tests.push((row) => words.every((word) => this.haystack[row].includes(word)));
      if (verdict) {
        const { levels, values } = this.columns.get("verdict");
        const wanted = levels.indexOf(verdict);
        tests.push((row) => values[row] === wanted);
      }
      if (user) {
        const { levels, values } = this.columns.get("user");
        const exact = levels.indexOf(user);
        const part = user.toLowerCase();
        const wanted = new Set(levels.flatMap((name, k) =>
          (exact < 0 ? name.toLowerCase().includes(part) : k === exact) ? [k] : []));
        tests.push((row) => wanted.has(values[row]));
      }
      if (feature) {
        const wanted = Number(feature);
        tests.push((row) => this.data.pairs.differences[row].some((each) => each[0] === wanted));
      }
      const rows = Array.from({ length: this.data.rows }, (_, row) => row);
      this.found = rows.filter((row) => tests.every((test) => test(row)));
      const { key } = this.columns.get(this.sorting.by);
      const keys = rows.map(key);
      const sign = this.sorting.down ? -1 : 1;
      this.found.sort((a, b) => {
        const [x, y] = [keys[a], keys[b]];
        if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y) || a - b;
        return sign * (x - y) || a - b;
      });
      this.draw();
    }

    draw() {
      const { data, sorting } = this;
      this.sortInput.value = sorting.by;
      const heads = data.shown.map((name) => {
        const each = this.columns.get(name);
        const state = sorting.by !== name ? "none" : sorting.down ? "descending" : "ascending";
        const press = () => this.sort(name, sorting.by === name && !sorting.down);
        return make("th", { scope: "col", "aria-sort": state, class: each.kind === "number" ? "number" : null },
          make("button", { type: "button", title: each.help ?? null, onclick: press }, each.title));
      });
      const focus = this.head.contains(document.activeElement)
        ? [...this.head.querySelectorAll("button")].indexOf(document.activeElement) : -1;
      this.head.replaceChildren(...heads, ...(data.wide ? [make("th", { scope: "col" }, data.wide)] : []));
      if (focus >= 0) this.head.querySelectorAll("button")[focus].focus();
      const begin = this.page * this.size;
      const pages = Math.max(Math.ceil(this.found.length / this.size), 1);
      this.body.replaceChildren(...this.found.slice(begin, begin + this.size).flatMap((row) => this.lines(row)));
      const many = this.found.length === data.rows ? whole.format(data.rows) : `${whole.format(this.found.length)} of ${whole.format(data.rows)}`;
      this.status.textContent = `${many} ${data.noun}, page ${this.page + 1} of ${whole.format(pages)}`;
      this.back.forEach((button) => { button.disabled = this.page === 0; });
      this.on.forEach((button) => { button.disabled = this.page + 1 >= pages; });
    }

    // The line of a row, and the line with all its numbers where it is opened.
    lines(row) {
      const { data } = this;
      const cells = data.shown.map((name) => {
        const each = this.columns.get(name);
        const cell = make("td", { "data-label": each.title, class: each.kind === "number" ? "number" : null });
        cell.append(name === "user" ? this.userButton(row, each) : each.text(row, 2));
        if (name === "verdict") cell.classList.add("badge", ...(data.problems.includes(each.text(row)) ? ["problem"] : []));
        if (each.bounds && each.text(row) !== "–") {
          const [low, high] = each.bounds.map((bound) => this.columns.get(bound).text(row, 2));
          cell.append(make("small", {}, `${low} to ${high}`));
        }
        return cell;
      });
      if (!data.wide) return [make("tr", {}, ...cells)];
      const open = this.opened.has(row);
      const press = () => { this.opened[open ? "delete" : "add"](row); this.draw(); this.body.querySelector(`[data-row="${row}"]`).focus(); };
      const chips = make("ul", { class: "chips" }, ...this.chips(row).map((chip) =>
        make("li", { class: chip.context ? "context" : null }, chip.text)));
      const button = make("button", { type: "button", class: "link open", "data-row": row, "aria-expanded": String(open), onclick: press }, open ? "fewer numbers" : "all numbers");
      cells.push(make("td", { class: "wide" }, chips, make("span", { class: "said" }, this.columns.get("sentence").text(row)), " ", button));
      const line = make("tr", {}, ...cells);
      if (!open) return [line];
      const numbers = [...this.columns.values()].filter((each) => each.kind === "number" && !each.hidden);
      const list = numbers.map((each) => make("div", {}, make("dt", {}, each.title), make("dd", {}, each.text(row))));
      return [line, make("tr", { class: "more" }, make("td", { colspan: cells.length }, make("dl", {}, ...list)))];
    }

    userButton(row, each) {
      const press = () => (explorers.get("comparisons") ?? this).only({ user: each.text(row) });
      return make("button", { type: "button", class: "link", title: "Show this user's comparisons", onclick: press }, each.text(row));
    }
  }

  const explorers = new Map();
  for (const root of document.querySelectorAll(".explorer")) {
    const data = JSON.parse(document.getElementById(`${root.id}-data`).textContent);
    explorers.set(root.id, new Explorer(root, data));
  }
  const rows = explorers.get("comparisons");
  for (const link of document.querySelectorAll("a[data-verdict]")) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      rows.only({ verdict: link.dataset.verdict });
    });
  }
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, select, textarea");
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    const near = [...explorers.values()].find((each) => each.root.contains(event.target)) ?? rows;
    if (event.key === "/") { event.preventDefault(); near.textInput.focus(); }
    if (event.key === "n") near.turn(1);
    if (event.key === "p") near.turn(-1);
  });
})();

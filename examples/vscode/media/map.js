/** The page of a map: its entries, which are read every second, and can be changed. What it shows is text, never markup. */
(() => {
  const editor = acquireVsCodeApi();
  const main = document.querySelector("main");
  /** The values that were shown before, by key. */
  let before = new Map();
  let isEditing = false;

  const make = (name, text = "", attributes = {}) =>
    Object.assign(document.createElement(name), { textContent: text, ...attributes });
  const button = (text, onclick, title = "") => make("button", text, { onclick, title });

  const isDigits = (value) => typeof value === "string" && /^-?\d+$/.test(value);
  /** Large integers are strings, so that all their digits stay. */
  const textOf = (value) => (isDigits(value) ? value : (JSON.stringify(value) ?? ""));
  function parsed(text) {
    const word = text.trim();
    if (/^-?\d{16,}$/.test(word)) return word;
    try {
      return JSON.parse(word);
    } catch {
      return word;
    }
  }
  const shownOf = ({ value, values }) =>
    values === undefined ? textOf(value) : values.map((each) => `cpu ${each.cpu}: ${textOf(each.value)}`).join("\n");

  function field(label, text, done) {
    const input = make("input", "", {
      type: "text",
      value: text,
      ariaLabel: label,
      size: Math.max(12, text.length + 2),
    });
    input.onkeydown = ({ key }) => {
      if (key === "Enter") done(input.value);
      if (key === "Escape") done(null);
    };
    return input;
  }

  function edit(cell, entry) {
    isEditing = true;
    const first = entry.values?.[0]?.value;
    const input = field("value", textOf(entry.value ?? first), (text) => {
      isEditing = false;
      editor.postMessage(text === null ? { ask: "refresh" } : { ask: "update", key: entry.key, value: parsed(text) });
    });
    cell.replaceChildren(input);
    input.select();
    input.focus();
  }

  function row(entry, { changed, isFixed }) {
    const cell = make("td", "", { className: changed ? "value changed" : "value" });
    cell.append(make("pre", shownOf(entry)));
    cell.ondblclick = () => edit(cell, entry);
    const acts = make("td");
    acts.append(
      button("Edit", () => edit(cell, entry), "Change this value"),
      " ",
    );
    const remove = () => editor.postMessage({ ask: "delete", key: entry.key });
    if (!isFixed) acts.append(button("Delete", remove, "Delete this entry"));
    const line = make("tr");
    const key = make("td");
    key.append(make("pre", entry.key === undefined ? "–" : textOf(entry.key)));
    line.append(key, cell, acts);
    return line;
  }

  function add(body) {
    isEditing = true;
    const line = make("tr");
    const fields = [];
    const done = (text) => {
      isEditing = false;
      const [key, value] = fields.map((each) => parsed(each.value));
      editor.postMessage(text === null ? { ask: "refresh" } : { ask: "update", key, value, create: true });
    };
    for (const label of ["key", "value"]) {
      const cell = make("td");
      fields.push(field(label, "", done));
      cell.append(fields.at(-1));
      line.append(cell);
    }
    body.append(line);
    fields[0].focus();
  }

  const typed = (what, words, bytes) => `${what}${words === null ? ` (${bytes} bytes)` : `: ${words}`}`;

  function show({ map, entries, isCut, hasMore, live, failed }) {
    if (isEditing) return;
    const header = make("header");
    if (failed !== undefined) {
      header.append(
        make("span", failed, { className: "failed" }),
        button("Refresh", () => ask("refresh")),
      );
      return main.querySelector("header") === null
        ? main.replaceChildren(header)
        : main.querySelector("header").replaceWith(header);
    }
    const body = make("tbody");
    const isFixed = ["array", "percpuarray"].includes(map.map_type);
    const isLive = make("input", "", { type: "checkbox", checked: live, id: "live" });
    isLive.onchange = () => editor.postMessage({ ask: "live", live: isLive.checked });
    header.append(
      make("h1", map.name),
      make("span", `${map.map_type}, map ${map.id}, at most ${map.max_entries} entries`, { className: "about" }),
      button("Refresh", () => ask("refresh")),
      ...(isFixed ? [] : [button("Add…", () => add(body))]),
      isLive,
      make("label", "live", { htmlFor: "live" }),
    );
    const values = new Map(entries.map((entry) => [JSON.stringify(entry.key), shownOf(entry)]));
    for (const entry of entries) {
      const was = before.get(JSON.stringify(entry.key));
      body.append(row(entry, { changed: was !== undefined && was !== shownOf(entry), isFixed }));
    }
    before = values;
    const head = make("tr");
    head.append(
      make("th", typed("key", map.key_type, map.key_size)),
      make("th", typed("value", map.value_type, map.value_size)),
      make("th"),
    );
    const top = make("thead");
    top.append(head);
    const table = make("table");
    table.append(top, body);
    const foot = make("p", isCut ? `The first ${entries.length} entries. ` : "", { className: "about" });
    if (hasMore) foot.append(button("More", () => ask("more")));
    main.replaceChildren(header, table, foot);
  }

  const ask = (what) => editor.postMessage({ ask: what });
  window.addEventListener("message", ({ data }) => show(data));
  ask("ready");
})();

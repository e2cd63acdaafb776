/** The page of events: the newest last, and as many of them as one can look through. What it shows is text, never markup. */
(() => {
  const SHOWN_MAX = 1000;
  const editor = acquireVsCodeApi();
  const main = document.querySelector("main");
  const make = (name, text = "", attributes = {}) =>
    Object.assign(document.createElement(name), { textContent: text, ...attributes });

  const title = make("h1", "No source was chosen");
  const state = make("span", "Click on a ring buffer or perf buffer in the tree.", { className: "about" });
  const header = make("header");
  const lines = make("tbody");
  const table = make("table");
  table.append(lines);
  const stop = make("button", "Stop", { onclick: () => editor.postMessage({ ask: "stop" }), hidden: true });
  const again = make("button", "Follow Again", { onclick: () => editor.postMessage({ ask: "again" }), hidden: true });
  header.append(title, state, stop, again, make("button", "Clear", { onclick: () => lines.replaceChildren() }));
  main.append(header, table);
  document.body.classList.add("panel");

  function textOf({ lost, message, task, event, raw, cpu }) {
    if (lost !== undefined) return lost === null ? "some may be lost here" : `${lost} lost`;
    if (message !== undefined) return `${task ?? ""} [cpu ${cpu}] ${message}`;
    return `${cpu === undefined ? "" : `[cpu ${cpu}] `}${event === undefined ? raw : JSON.stringify(event)}`;
  }

  function add(at, results) {
    const isAtEnd = window.innerHeight + window.scrollY >= document.body.scrollHeight - 20;
    for (const result of results.slice(-SHOWN_MAX)) {
      const line = make("tr");
      const when = make("td");
      when.append(make("time", at));
      const what = make("td");
      what.append(make("pre", textOf(result), { className: result.lost === undefined ? "" : "failed" }));
      line.append(when, what);
      lines.append(line);
    }
    while (lines.childElementCount > SHOWN_MAX) lines.firstElementChild.remove();
    if (isAtEnd) window.scrollTo(0, document.body.scrollHeight);
  }

  function follow(isFollowing, words) {
    state.textContent = words;
    stop.hidden = !isFollowing;
    again.hidden = isFollowing;
  }

  window.addEventListener("message", ({ data }) => {
    if (data.begin) {
      title.textContent = data.title;
      lines.replaceChildren();
      follow(true, "waiting for events");
    }
    if (data.results !== undefined) {
      add(data.at, data.results);
      follow(true, "following");
    }
    if (data.ended !== undefined && title.textContent !== "No source was chosen") follow(false, data.ended);
  });
  editor.postMessage({ ask: "ready" });
})();

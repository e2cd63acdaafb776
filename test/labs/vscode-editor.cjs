/**
 * As much of Visual Studio Code as the example extension needs, in Node.js. Started with the bundled extension, it takes
 * one JSON object on each line of its input and answers each with one line:
 *
 *   { "run": command, "argument"?, "node"?: [path of labels in the tree], "answers"?: [what the user enters] }
 *   { "until": text }    waits until the text stands in the tree
 *   { "end": true }      deactivates the extension
 *
 * An answer is the tree as text, the messages that were shown since, the text of the status bar, and the commands that are
 * registered.
 */
const Module = require("node:module");
const { createInterface } = require("node:readline");

const [extensionPath, settings] = [process.argv[2], JSON.parse(process.argv[3])];
const commands = new Map();
let answers = [];
let messages = [];
let provider = null;
let repaint = () => {};
let status = null;

class EventEmitter {
  #listeners = [];
  event = (listener) => {
    this.#listeners.push(listener);
    return { dispose() {} };
  };
  fire(value) {
    for (const listener of this.#listeners) listener(value);
  }
}
class TreeItem {
  constructor(label, collapsibleState) {
    this.label = label;
    this.collapsibleState = collapsibleState;
  }
}
const show =
  (kind) =>
  async (message, ...choices) => {
    messages.push(`${kind}: ${message}`);
    return choices.find((choice) => answers.includes(choice));
  };
/** Whether items are open, by their ID: the editor asks once, and remembers. */
const open = new Map();
const ask = async (kind, given) => {
  const answer = answers.shift();
  messages.push(`${kind}: ${given}`);
  return answer;
};

const vscode = {
  EventEmitter,
  TreeItem,
  ThemeIcon: class {},
  Uri: { file: (path) => ({ path }) },
  StatusBarAlignment: { Right: 2 },
  Position: class {
    constructor(line, character) {
      Object.assign(this, { line, character });
    }
  },
  Range: class {
    constructor(start, end) {
      Object.assign(this, { start, end });
    }
  },
  TreeItemCollapsibleState: { None: 0, Collapsed: 1, Expanded: 2 },
  ProgressLocation: { Notification: 15 },
  commands: {
    registerCommand(name, run) {
      commands.set(name, run);
      return { dispose() {} };
    },
    executeCommand: async (name, ...args) => commands.get(name)?.(...args),
  },
  window: {
    createOutputChannel: () => ({
      append() {},
      appendLine: (text) => messages.push(`output: ${text}`),
      show() {},
      dispose() {},
    }),
    createTreeView(_id, { treeDataProvider }) {
      provider = treeDataProvider;
      provider.onDidChangeTreeData(() => repaint());
      return { visible: false, onDidChangeVisibility: () => ({ dispose() {} }), dispose() {} };
    },
    showErrorMessage: show("error"),
    showWarningMessage: show("warning"),
    createStatusBarItem: () => ({
      show() {
        status = this.text;
      },
      hide() {
        status = null;
      },
    }),
    registerWebviewViewProvider: () => ({ dispose() {} }),
    /** Takes what the user enters once the first offers are there: one of them, or as it was typed. */
    createQuickPick() {
      const on = {};
      const picker = {
        items: [],
        value: "",
        selectedItems: [],
        onDidChangeValue() {},
        onDidAccept: (listener) => (on.accept = listener),
        onDidHide: (listener) => (on.hide = listener),
        hide: () => on.hide(),
        dispose() {},
        async show() {
          while (picker.busy) await new Promise((done) => setTimeout(done, 5));
          const labels = picker.items.slice(0, 50).map(({ label }) => label);
          const answer = await ask("pick", `${picker.title}: ${picker.placeholder}: ${labels.join(", ")}`);
          if (answer === undefined) return on.hide();
          picker.selectedItems = picker.items.filter(({ label }) => label === answer);
          picker.value = answer;
          on.accept();
        },
      };
      return picker;
    },
    showInputBox: ({ prompt }) => ask("input", prompt),
    async showQuickPick(choices, { title, canPickMany }) {
      const labels = choices.map((choice) => choice.label ?? choice);
      const answer = await ask("pick", `${title}: ${labels.join(", ")}`);
      if (answer === undefined) return undefined;
      const picked = choices.filter((choice) => [answer].flat().includes(choice.label ?? choice));
      return canPickMany ? picked : picked[0];
    },
    showTextDocument: async ({ path }, { selection }) =>
      void messages.push(`shown: ${path}:${selection.start.line + 1}`),
    withProgress: (_options, work) => work({ report() {} }, { onCancellationRequested() {} }),
  },
  workspace: {
    getConfiguration: () => ({ get: (key, otherwise) => settings[key] ?? otherwise }),
    textDocuments: [],
    onDidOpenTextDocument: () => ({ dispose() {} }),
    onDidChangeConfiguration: () => ({ dispose() {} }),
  },
};

/** Lines of the tree, indented, with the node of each. */
async function tree(parent, depth = 0) {
  const lines = [];
  for (const node of await provider.getChildren(parent)) {
    const item = await provider.getTreeItem(node);
    lines.push({ node, text: `${"  ".repeat(depth)}${item.label} | ${item.description} | ${item.contextValue}` });
    if (!open.has(item.id)) open.set(item.id, item.collapsibleState === 2);
    if (open.get(item.id)) lines.push(...(await tree(node, depth + 1)));
  }
  return lines;
}
const painted = async () => (await tree()).map(({ text }) => text);

const resolveFilename = Module._resolveFilename;
Module._resolveFilename = (request, ...rest) => (request === "vscode" ? "vscode" : resolveFilename(request, ...rest));
require.cache.vscode = { id: "vscode", exports: vscode, loaded: true };
const extension = require(extensionPath);
extension.activate({ subscriptions: [], extensionUri: {} });

async function obey(order) {
  if (order.run !== undefined) {
    answers = order.answers ?? [];
    const found = order.node === undefined ? null : (await tree()).find(({ text }) => text.includes(order.node));
    await commands.get(order.run)(found === null ? order.argument : found.node);
  }
  if (order.until !== undefined) {
    while (!(await painted()).join("\n").includes(order.until)) await new Promise((done) => (repaint = done));
  }
  if (order.end) await extension.deactivate();
  const said = messages;
  messages = [];
  return { tree: await painted(), messages: said, status, commands: [...commands.keys()] };
}

(async () => {
  for await (const line of createInterface(process.stdin)) console.log(JSON.stringify(await obey(JSON.parse(line))));
})();

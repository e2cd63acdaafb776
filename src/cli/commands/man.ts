import { BpfmanError } from "../../errors/error.ts";
import type { Argument, Command, Flag, Node } from "../command.ts";
import { isGroup } from "../command.ts";
import { examplesOf } from "../render/explained.ts";
import { type Edition, manPage, pageName } from "../render/man-page.ts";

const DIR: Argument = {
  name: "dir",
  doc: ["Required: Folder into which the pages are written."],
  completes: "directory",
};

const DATE: Flag = {
  long: "date",
  takes: "one",
  metavar: "YYYY-MM-DD",
  default: "today",
  doc: ["Optional: Date in the pages' footers; the same one gives the same pages."],
};

interface File {
  readonly name: string;
  readonly text: string;
}

/** The pages of a node and of all below it. What only shells call has none. */
async function pagesOf(nodes: readonly Node[], edition: Edition): Promise<File[]> {
  const last = nodes.at(-1) as Node;
  if (last.name.startsWith("__")) return [];
  const command = isGroup(last) ? null : await last.load();
  const page = { nodes, command, examples: await examplesOf(last, command) };
  const files = [{ name: `${pageName(nodes)}.1`, text: manPage(page, edition) }];
  for (const child of isGroup(last) ? last.children : []) files.push(...(await pagesOf([...nodes, child], edition)));
  return files;
}

export const man: Command = {
  description: ["Generates a manual page for every command."],
  args: [DIR],
  flags: [DATE],
  examples: [{ does: "For everybody on this machine", line: "bpfman man /usr/local/share/man/man1" }],
  prepare(line) {
    const folder = line.word(DIR);
    const date = line.value(DATE) ?? new Date().toISOString().slice(0, 10);
    if (!/^\d{4}-\d\d-\d\d$/.test(date)) {
      throw new BpfmanError("USAGE", `invalid date "${date}": must be YYYY-MM-DD`);
    }
    return async (session) => {
      const { version } = await session.invoke("version", { features: false });
      const files = session.save(folder, await pagesOf([session.tree], { version, date }));
      session.print({ files }, () => files.map((path) => `${path}\n`).join(""));
    };
  },
};

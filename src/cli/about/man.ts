import { BpfmanError } from "../../errors/error.ts";
import { defineCommand, isGroup, type Node, optional, required } from "../command.ts";
import { examplesOf } from "../render/explained.ts";
import { type Edition, manPage, pageName } from "../render/man-page.ts";

interface File {
  readonly name: string;
  readonly text: string;
}

/** Returns the pages of a node and all its descendants. Hidden commands, which only shells call, have none. */
async function pagesOf(nodes: readonly Node[], edition: Edition): Promise<File[]> {
  const last = nodes.at(-1) as Node;
  if (last.name.startsWith("__")) return [];
  const command = isGroup(last) ? null : await last.load();
  const page = { nodes, command, examples: await examplesOf(last, command) };
  const files = [{ name: `${pageName(nodes)}.1`, text: manPage(page, edition) }];
  for (const child of isGroup(last) ? last.children : []) files.push(...(await pagesOf([...nodes, child], edition)));
  return files;
}

export const man = defineCommand({
  description: ["Writes a manual page for every command."],
  fields: {
    dir: required({
      long: "dir",
      doc: ["Directory to write the pages to."],
      completes: "directory",
    }),
    date: optional(
      {
        long: "date",
        metavar: "YYYY-MM-DD",
        default: "today",
        doc: ["Date in the footers; set it to make the output reproducible."],
      },
      (date) => {
        if (/^\d{4}-\d\d-\d\d$/.test(date)) return date;
        throw new BpfmanError("USAGE", `invalid date "${date}": must be YYYY-MM-DD`);
      },
    ),
  },
  classic: {
    words: ["dir"],
    examples: { "Install the pages for every user": "bpfman man /usr/local/share/man/man1" },
  },
  prepare:
    ({ dir, date }) =>
    async (session) => {
      const { version } = await session.invoke("version", { features: false });
      const edition = { version, date: date ?? new Date().toISOString().slice(0, 10) };
      session.save(dir, await pagesOf([session.tree], edition));
    },
});

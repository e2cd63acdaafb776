/** The tree of programs with their links and maps, and of chains with their members, with counters. */
import { EventEmitter, ThemeIcon, type TreeDataProvider, TreeItem, TreeItemCollapsibleState } from "vscode";
import type { DispatcherDetailAnswer } from "../../../src/domain/answer.ts";
import type { StatsAnswer } from "../../../src/domain/stats-answer.ts";
import {
  type ChainMember,
  type LinkEntry,
  type Machine,
  type MapEntry,
  placeOf,
  type ProgramNode,
  rateOf,
} from "./session.ts";

export type Node =
  | (ProgramNode & { readonly is: "program" })
  | { readonly is: "link"; readonly link: LinkEntry }
  | { readonly is: "map"; readonly map: MapEntry; readonly of: number }
  | { readonly is: "chain"; readonly chain: DispatcherDetailAnswer }
  | { readonly is: "member"; readonly member: ChainMember };

const NOTHING: Machine = { programs: [], chains: [] };

/** Maps whose contents are events. */
const isBuffer = ({ map_type: type }: MapEntry): boolean => type === "ringbuf" || type === "perfeventarray";

const inBrief = (...parts: readonly (string | number | null)[]): string =>
  parts.filter((part) => part !== null).join(" · ");

export class Tree implements TreeDataProvider<Node> {
  readonly #changes = new EventEmitter<undefined>();
  readonly onDidChangeTreeData = this.#changes.event;
  #machine = NOTHING;
  #counted: StatsAnswer | null = null;

  show(machine: Machine = NOTHING): void {
    this.#machine = machine;
    this.#changes.fire(undefined);
  }

  count(counted: StatsAnswer | null): void {
    this.#counted = counted;
    this.#changes.fire(undefined);
  }

  getChildren(node?: Node): Node[] {
    if (node === undefined) {
      return [
        ...this.#machine.programs.map((program) => ({ is: "program" as const, ...program })),
        ...this.#machine.chains.map((chain) => ({ is: "chain" as const, chain })),
      ];
    }
    if (node.is === "chain") return node.chain.members.map((member) => ({ is: "member", member }));
    if (node.is !== "program") return [];
    const { links, maps, program } = node;
    return [
      ...links.map((link) => ({ is: "link" as const, link })),
      ...maps.map((map) => ({ is: "map" as const, map, of: program.program_id })),
    ];
  }

  getTreeItem(node: Node): TreeItem {
    switch (node.is) {
      case "program":
        return this.#program(node);
      case "link": {
        const { id } = node.link;
        return leaf(placeOf(node.link), { id: `link ${id}`, description: `link ${id}`, is: "link", icon: "link" });
      }
      case "map": {
        const { map, of } = node;
        const is = isBuffer(map) ? "buffer" : "map";
        const item = leaf(map.name, {
          ...{ id: `map ${map.id} of ${of}`, description: `${map.map_type} · map ${map.id}`, is },
          icon: is === "map" ? "table" : "pulse",
        });
        const command = is === "map" ? "bpfman.map.show" : "bpfman.events.show";
        item.command = { title: "Show", command, arguments: [node] };
        return item;
      }
      case "chain": {
        const { key, interface: on, member_count: count } = node.chain;
        const item = new TreeItem(`${key.type} on ${on}`, TreeItemCollapsibleState.Expanded);
        item.id = `chain ${key.type} ${key.nsid} ${key.ifindex}`;
        item.description = `chain of ${count}`;
        item.contextValue = "chain";
        item.iconPath = new ThemeIcon("list-ordered");
        return item;
      }
      case "member":
        return this.#member(node.member);
    }
  }

  #program({ program, links, maps }: ProgramNode): TreeItem {
    const { program_id: id, function_name: name, type, application } = program;
    const state =
      links.length > 0
        ? TreeItemCollapsibleState.Expanded
        : maps.length > 0
          ? TreeItemCollapsibleState.Collapsed
          : TreeItemCollapsibleState.None;
    const item = new TreeItem(name, state);
    // The editor keeps what it once decided for an ID: one that had no links yet would hide them when it gets some.
    item.id = `program ${id}${links.length > 0 ? ", attached" : ""}`;
    const counted = this.#counted?.programs.find((each) => each.program_id === id);
    item.description = inBrief(type, id, application, rateOf(counted));
    item.contextValue = "program";
    item.iconPath = new ThemeIcon("symbol-function");
    return item;
  }

  #member({ program_name: name, program_id: program, link_id: id, priority }: ChainMember): TreeItem {
    const counted = this.#counted?.chains?.flatMap(({ members }) => members).find(({ link_id }) => link_id === id);
    const verdicts = Object.entries(counted?.verdicts ?? {}).map(([verdict, runs]) => `${verdict} ${runs}`);
    const description = inBrief(
      ...[
        `priority ${priority}`,
        `program ${program}`,
        rateOf(counted),
        verdicts.length === 0 ? null : verdicts.join(", "),
      ],
    );
    return leaf(name, { id: `member ${id}`, description, is: "member", icon: "symbol-function" });
  }
}

interface Leaf {
  readonly id: string;
  readonly description: string;
  readonly is: string;
  readonly icon: string;
}

function leaf(label: string, { id, description, is, icon }: Leaf): TreeItem {
  const item = new TreeItem(label, TreeItemCollapsibleState.None);
  item.id = id;
  item.description = description;
  item.contextValue = is;
  item.iconPath = new ThemeIcon(icon);
  return item;
}

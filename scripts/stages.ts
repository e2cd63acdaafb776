/**
 * Joins modules that commands load one after the other, so that the executable reads a few chunks instead of a hundred:
 * the bundler makes a chunk for each set of `import()`s that leads to a module, and most sets lead to one.
 */
import { builtinModules } from "node:module";
import { dirname, resolve } from "node:path";

/** Returns a module's source. */
type Read = (path: string) => string;

interface Stage {
  readonly name: string;
  /** By absolute path. */
  readonly modules: ReadonlyMap<string, Part>;
}

interface Part {
  readonly exports: readonly string[];
  /** What the stage appends to these names, because another of its modules has one of them; usually nothing. */
  readonly suffix: string;
}

const transpiler = new Bun.Transpiler({ loader: "ts" });

/** Returns the modules that these import statically, themselves included, and what each exports. */
function closure(roots: readonly string[], read: Read, known: (path: string) => boolean): Map<string, Part> {
  const modules = new Map<string, Part>();
  const taken = new Set<string>();
  const pending = [...roots];
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    if (modules.has(path) || known(path)) continue;
    const { imports, exports } = transpiler.scan(read(path));
    const suffix = exports.some((each) => taken.has(each)) ? `$${modules.size}` : "";
    for (const each of exports) taken.add(each + suffix);
    modules.set(path, { exports, suffix });
    for (const { kind, path: named } of imports) {
      if (kind === "import-statement" && /^\..*\.ts$/.test(named)) pending.push(resolve(dirname(path), named));
    }
  }
  return modules;
}

/** What an import names: an absolute path, or a module of the runtime. */
const pathOf = (named: string, importer: string): string => {
  if (named.startsWith(".")) return resolve(dirname(importer), named);
  return /^(bun|node):|^bun$/.test(named) || builtinModules.includes(named) || named.startsWith("/")
    ? named
    : Bun.resolveSync(named, dirname(importer));
};

/** An arrow function at the top level, as the bundler writes it, whose body is a block or on the same line. */
const ARROW = /^var (\w+) = (async )?\(([^()]*)\) => (?:\{\n((?:[ }].*\n|\n)*?)\};|([^{\n].*[^{([,\n]);)$/gm;

/** Declares functions: a constant that is an arrow function costs a command as much as five declared functions. */
const declared = (text: string): string =>
  text.replaceAll(ARROW, (whole, name, isAsync = "", given, block, value) => {
    // It may end within a template.
    if (whole.includes("`") && block !== undefined) return whole;
    const body = block === undefined ? `return ${value};` : block;
    return `${isAsync}function ${name}(${given}) {\n${body}}`;
  });

/** Bundles one stage into the text of one module. What it imports of others, or later, is left to the whole bundle. */
async function joined({ name, modules }: Stage, read: Read): Promise<string> {
  const all = [...modules].map(([path, { exports, suffix }]) => {
    const names = exports.map((each) => `${each} as ${each}${suffix}`);
    return `export { ${names.join(", ")} } from ${JSON.stringify(path)};`;
  });
  const output = await Bun.build({
    throw: false,
    entrypoints: [name],
    target: "bun",
    format: "esm",
    plugins: [
      {
        name: "a stage alone",
        setup(build) {
          build.onResolve({ filter: /.*/ }, ({ path: named, importer, kind }) => {
            if (named === name) return { path: name, namespace: "stage" };
            const path = pathOf(named, importer);
            return kind === "import-statement" && modules.has(path) ? { path } : { path, external: true };
          });
          build.onLoad({ filter: /.*/, namespace: "stage" }, () => ({ contents: all.join("\n"), loader: "js" }));
          build.onLoad({ filter: /\.ts$/ }, ({ path }) => ({ contents: read(path), loader: "ts" }));
        },
      },
    ],
  });
  if (!output.success) throw new Error(output.logs.join("\n"));
  const text = (await output.outputs[0]?.text()) ?? "";
  return declared(text.replaceAll("__require(", "require(").replace(/^var __require = .*$/m, ""));
}

/**
 * The first stage is what the entry imports; each other one what its roots import that no earlier stage has, so none
 * imports a later one. Who imports a module of a stage gets the stage; who loads it later, a module that exports the
 * stage's part.
 */
export function withStages(entry: string, others: readonly (readonly string[])[], read: Read): Bun.BunPlugin {
  return {
    name: "stages",
    async setup(build) {
      const made: Stage[] = [];
      for (const [at, roots] of [[entry], ...others].entries()) {
        const modules = closure(roots, read, (path) => made.some((stage) => stage.modules.has(path)));
        modules.delete(entry);
        made.push({ name: `stage-${at}`, modules });
      }
      const texts = new Map(
        await Promise.all(made.map(async (each) => [each.name, await joined(each, read)] as const)),
      );
      const stageOf = (path: string): Stage | undefined => made.find(({ modules }) => modules.has(path));
      build.onResolve({ filter: /\.ts$/ }, ({ path: named, importer, kind }) => {
        if (kind !== "import-statement") return undefined;
        const path = pathOf(named, importer);
        const stage = stageOf(path);
        return stage?.modules.get(path)?.suffix === "" ? { path: stage.name, namespace: "stage" } : undefined;
      });
      build.onResolve({ filter: /^stage-\d+$/ }, ({ path }) => ({ path, namespace: "stage" }));
      build.onLoad({ filter: /.*/, namespace: "stage" }, ({ path }) => ({
        contents: texts.get(path) ?? "",
        loader: "js",
      }));
      build.onLoad({ filter: /\.ts$/ }, ({ path }) => {
        const stage = stageOf(path);
        const part = stage?.modules.get(path);
        if (stage === undefined || part === undefined) return { contents: read(path), loader: "ts" };
        const names = part.exports.map((each) => `${each}${part.suffix} as ${each}`);
        return { contents: `export { ${names.join(", ")} } from ${JSON.stringify(stage.name)};`, loader: "js" };
      });
    },
  };
}

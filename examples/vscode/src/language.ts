/** `bpfman lsp` for the C sources that are open. It is loaded with the first of them. */
import { workspace } from "vscode";
import { LanguageClient } from "vscode-languageclient/node";

export interface LanguageOptions {
  readonly executable: string;
  readonly arguments: readonly string[];
  /** Makes it root; empty for an editor that is. */
  readonly helper: readonly string[];
  /** Where to attach a program of a source, by the form: null if the user chooses none. */
  askTarget(uri: string, program: string, load: () => Promise<unknown>): Promise<object | null>;
  tell(cause: unknown): void;
}

export interface Language {
  stop(): Promise<void>;
}

export async function startLanguage(options: LanguageOptions): Promise<Language> {
  const { executable, arguments: words, helper, askTarget, tell } = options;
  const client = new LanguageClient(
    "bpfman",
    "bpfman Language Server",
    { command: executable, args: [...words, "lsp", "--stdio"] },
    {
      documentSelector: [
        { scheme: "file", language: "c" },
        { scheme: "file", pattern: "**/*.h" },
      ],
      // A workspace has no say in this: the settings that it is made of have the scope of the machine.
      initializationOptions: {
        command: [...helper, executable, ...words, "rpc"],
        trusted: workspace.isTrusted,
      },
      middleware: {
        async executeCommand(command, given: unknown[], next) {
          const [uri, program, target] = given;
          try {
            if (command !== "bpfman.attach" || typeof uri !== "string" || typeof program !== "string" || target)
              return await next(command, given);
            const chosen = await askTarget(uri, program, async () => next("bpfman.load", [uri, program]));
            return chosen === null ? undefined : await next(command, [uri, program, chosen]);
          } catch (cause) {
            tell(cause);
          }
        },
      },
    },
  );
  const trust = workspace.onDidGrantWorkspaceTrust(() =>
    client.sendNotification("bpfman/didChangeTrust", { trusted: true }),
  );
  try {
    await client.start();
  } catch (cause) {
    trust.dispose();
    throw cause;
  }
  return {
    async stop() {
      trust.dispose();
      await client.stop();
    },
  };
}

/** What a check found wrong, one entry each, for formats that mark lines. */
import { isAbsolute, relative } from "node:path";
import type { CheckAnswer } from "../../domain/check-answer.ts";
import type { SourceLine } from "../../domain/object-file.ts";

export interface Problem {
  readonly level: "error" | "warning" | "note";
  /** An error code, an option of the compiler, or COST_ROSE. */
  readonly rule: string;
  readonly message: string;
  /** Below the current directory where it is in it; else absolute, or as it was given. */
  readonly file: string;
  readonly line: number | null;
  readonly column: number | null;
  readonly program: string | null;
  /** The lines that led there. */
  readonly path: readonly SourceLine[];
  readonly log: string | null;
}

/** The rule of a program that costs more than is tolerated. */
export const COST_ROSE = "COST_ROSE";

/** As it is from the current directory, unless it is outside. */
export function fromHere(path: string): string {
  if (!isAbsolute(path)) return path.replace(/^(\.\/)+/, "");
  const near = relative(process.cwd(), path);
  return near === "" || near.startsWith("..") ? path : near;
}

export function problemsOf({ files, kernel, baseline: against }: CheckAnswer): Problem[] {
  return files.flatMap((file) => {
    const anywhere = { file: fromHere(file.path), line: null, column: null, program: null, path: [], log: null };
    const compiler = file.diagnostics.map(({ severity, message, option, ...place }): Problem => {
      const where = place.file === null ? {} : { ...place, file: fromHere(place.file) };
      const rule = option ?? (severity === "error" ? "COMPILE_FAILED" : "COMPILER");
      return { ...anywhere, ...where, level: severity, rule, message };
    });
    const isExplained = compiler.some(({ level }) => level === "error");
    const broken: Problem[] =
      file.refusal === null || isExplained
        ? []
        : [{ ...anywhere, level: "error", rule: file.refusal.code, message: file.refusal.message }];
    const programs = file.programs.flatMap(({ name, refusal, baseline, cost }): Problem[] => {
      if (refusal !== null) {
        const { code, source, hint, reason, path, verifier_log: log } = refusal;
        const place = {
          file: fromHere(source?.file ?? file.path),
          line: source?.line ?? null,
          column: source?.column ?? null,
        };
        const message = `Linux ${kernel} refuses ${name}: ${reason}${hint === null ? "" : ` (hint: ${hint})`}`;
        return [{ ...place, level: "error", rule: code, message, program: name, path, log }];
      }
      if (baseline?.worse !== true) return [];
      const [now, then] = [cost?.verified_instructions, baseline.verified_instructions];
      const message = `${name} costs ${now} instructions, ${baseline.change_percent} % more than ${then} in ${against?.path}; ${against?.tolerance_percent} % are tolerated`;
      return [{ ...anywhere, level: "error", rule: COST_ROSE, message, program: name }];
    });
    return [...compiler, ...broken, ...programs];
  });
}

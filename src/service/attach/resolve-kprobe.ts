import type { KprobeDetails } from "../../domain/link.ts";
import { LISTED_NAMES_MAX } from "../../domain/limits.ts";
import { BpfmanError } from "../../errors/error.ts";
import { didYouMean } from "../../errors/suggest.ts";
import type { Host } from "../../platform/host.ts";
import type { KernelFunction } from "../../platform/kernel.ts";
import type { AttachTarget } from "../requests/attach-request.ts";
import type { Resolve } from "./target.ts";

type KprobeTarget = Extract<AttachTarget, { kind: "kprobe" }>;

/** What stands for the kernel itself where a module could stand, as in bpftrace. */
const KERNEL = "vmlinux";

/** A function as people write it: `[MODULE:]FUNCTION[+OFFSET]` or `0xADDRESS[+OFFSET]`. */
interface Wanted {
  /** As it was written, without the offset. */
  readonly written: string;
  readonly module: string | null;
  readonly name: string;
  readonly address: bigint | null;
  /** Bytes from the start of the function. */
  readonly offset: number;
}

function wantedOf({ fnName, offset }: KprobeTarget): Wanted {
  const [, written = fnName, added] = /^(.+?)\+(0x[0-9a-f]{1,8}|[0-9]{1,9})$/i.exec(fnName) ?? [];
  if (added !== undefined && offset !== 0) {
    throw new BpfmanError("INVALID_ATTACH", `attach kprobe to "${fnName}": the offset is given twice`, {
      details: { function: fnName, offset },
      hint: `give it as "${written}+OFFSET", or by --offset`,
    });
  }
  const [, module = null, name = written] = /^([^:]+):([^:]+)$/.exec(written) ?? [];
  const address = /^0x[0-9a-f]{1,16}$/i.test(written) ? BigInt(written) : null;
  return { written, module, name, address, offset: added === undefined ? offset : Number(added) };
}

/** `0xffffffff81234560 (ext4)` */
const shown = ({ address, module }: KernelFunction): string => `0x${address.toString(16)} (${module ?? KERNEL})`;

/** The one function that is meant. Throws SYMBOL_NOT_FOUND, ATTACH_FAILED. */
function theOne(host: Host, { written, module, name, address }: Wanted, kind: string): KernelFunction {
  const named = address === null ? host.kernel.functionsNamed(name) : host.kernel.functionsAt(address).slice(0, 1);
  const [first, ...others] = named.filter((each) => module === null || (each.module ?? KERNEL) === module);
  if (first === undefined) throw notFound(host, { written, name, address }, named);
  if (others.length === 0) return first;
  const all = [first, ...others];
  const modules = new Set(all.map((each) => each.module));
  const hidden = all.every((each) => each.address === 0n);
  const byModule = `name the module: ${[...modules].map((each) => `${each ?? KERNEL}:${name}`).join(", ")}`;
  const byAddress = `choose one by its address, which is valid until the next boot: ${all.slice(0, LISTED_NAMES_MAX).map(shown).join(", ")}`;
  const restricted =
    "only an address tells them apart, and the kernel hides addresses from this process: see the sysctl kernel.kptr_restrict";
  throw new BpfmanError("ATTACH_FAILED", `attach ${kind}: this kernel has ${all.length} functions named "${written}"`, {
    details: {
      function: written,
      count: all.length,
      functions: all.map((each) => ({ address: `0x${each.address.toString(16)}`, module: each.module })),
    },
    hint: hidden ? restricted : modules.size === all.length ? byModule : byAddress,
  });
}

function notFound(
  host: Host,
  { written, name, address }: Pick<Wanted, "written" | "name" | "address">,
  elsewhere: readonly KernelFunction[],
): BpfmanError {
  const details = { function: written };
  if (address !== null) {
    return new BpfmanError("SYMBOL_NOT_FOUND", `no function begins at ${written} in this kernel`, {
      details,
      hint: "see /proc/kallsyms; addresses change with each boot",
    });
  }
  const where = elsewhere.map((each) => `${each.module ?? KERNEL}:${name}`);
  return new BpfmanError("SYMBOL_NOT_FOUND", `no function "${written}" in this kernel`, {
    details,
    hint:
      didYouMean(written, where) ??
      didYouMean(name, host.kernel.kernelFunctions()) ??
      "see /proc/kallsyms; inlined functions are not there",
  });
}

export const resolveKprobe: Resolve<KprobeTarget> = (host, program, target) => {
  const kind = program.type === "kretprobe" ? "kretprobe" : "kprobe";
  if (target.containerPid !== null) {
    throw new BpfmanError("NOT_SUPPORTED", "attach kprobe: --container-pid is not currently supported", {
      hint: "a kprobe attaches to the kernel, which all containers share; omit the option",
    });
  }
  const wanted = wantedOf(target);
  const { written: fnName, offset } = wanted;
  if (kind === "kretprobe" && offset !== 0) {
    throw new BpfmanError("INVALID_ATTACH", `attach kretprobe to "${fnName}": an offset is not allowed`, {
      details: { function: fnName, offset },
      hint: "a kretprobe runs when the function returns; omit the offset",
    });
  }
  const found = theOne(host, wanted, kind);
  if (found.size !== null && offset >= found.size) {
    throw new BpfmanError(
      "INVALID_ATTACH",
      `offset ${offset} is past the end of "${fnName}", which is ${found.size} bytes long`,
      {
        details: { function: fnName, offset, size: found.size },
        hint: `give an offset below ${found.size}, or none for the start of the function`,
      },
    );
  }
  const details: KprobeDetails = { kind, fnName, offset };
  const address = addressOf(host, wanted, found);
  return { details, kernelAttach: () => ({ kind, fnName: address === null ? found.name : fnName, offset, address }) };
};

/**
 * Null for a name that is the function's alone. Kernels do not take `MODULE:FUNCTION` everywhere (from Linux 6.7 on perf
 * finds no such name), an address they do. Throws ATTACH_FAILED where the kernel hides it.
 */
function addressOf(host: Host, { written, module, name, address }: Wanted, found: KernelFunction): bigint | null {
  if (module === null && address === null) return null;
  if (found.address !== 0n) return found.address;
  if (host.kernel.functionsNamed(name).length === 1) return null;
  throw new BpfmanError("ATTACH_FAILED", `attach kprobe to "${written}": the kernel hides addresses`, {
    details: { function: written },
    hint: "see the sysctl kernel.kptr_restrict",
  });
}

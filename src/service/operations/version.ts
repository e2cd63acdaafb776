import { boolean, optional, strictObject } from "valibot";
import type { FeaturesAnswer, VersionAnswer } from "../../domain/answer.ts";
import type { KernelFeatures } from "../../platform/kernel.ts";
import type { Versions } from "../../platform/runtime.ts";
import { operation } from "../operation.ts";

/** `features`: also test what the kernel supports, which takes a few milliseconds. */
const request = strictObject({ features: optional(boolean(), true) });

function featuresAnswer({ perfLink, lockdown, capabilities, ...tried }: KernelFeatures): FeaturesAnswer {
  return { ...tried, perf_link: perfLink, lockdown, capabilities };
}

export const implementation = operation({
  request,
  run: async (needs: Versions, { features }): Promise<VersionAnswer> => {
    const found = features ? await needs.features() : null;
    return { ...needs.versions(), features: found === null ? null : featuresAnswer(found) };
  },
});

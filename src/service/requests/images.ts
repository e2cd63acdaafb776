import * as v from "valibot";
import { REGISTRY_FIELD_CHARS_MAX } from "../../domain/limits.ts";
import { PULL_POLICIES } from "../../domain/program.ts";

const POLICY = `a pull policy is ${PULL_POLICIES.join(", ")}, in any letter case`;

const pullPolicy = v.pipe(
  v.string(POLICY),
  v.transform((text) => PULL_POLICIES.find((policy) => policy.toLowerCase() === text.toLowerCase())),
  v.picklist(PULL_POLICIES, POLICY),
);

const registry = {
  /** `[REGISTRY/]NAME[:TAG][@DIGEST]` */
  url: v.pipe(v.string(), v.minLength(1), v.maxLength(REGISTRY_FIELD_CHARS_MAX)),
  /** base64 of `user:password`. Its form is checked where no message repeats it. */
  registryAuth: v.optional(v.nullable(v.pipe(v.string(), v.maxLength(REGISTRY_FIELD_CHARS_MAX))), null),
};

export const inspectImageRequest = v.strictObject(registry);

export const pullImageRequest = v.strictObject({ ...registry, pullPolicy: v.optional(pullPolicy, "IfNotPresent") });

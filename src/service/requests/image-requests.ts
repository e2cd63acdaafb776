import * as v from "valibot";
import { IDENTITY_CHARS_MAX, REGISTRY_FIELD_CHARS_MAX, TRUSTED_SIGNERS_MAX } from "../../domain/limits.ts";
import { PULL_POLICIES } from "../../domain/program.ts";
import * as fields from "./request-fields.ts";

const path = fields.path();

const POLICY = `a pull policy is ${PULL_POLICIES.join(", ")}, in any letter case`;

const pullPolicy = v.pipe(
  v.string(POLICY),
  v.transform((text) => PULL_POLICIES.find((policy) => policy.toLowerCase() === text.toLowerCase()) ?? text),
  v.picklist(PULL_POLICIES, POLICY),
);

const registry = {
  /** `[REGISTRY/]NAME[:TAG][@DIGEST]` */
  url: v.pipe(v.string(), v.minLength(1), v.maxLength(REGISTRY_FIELD_CHARS_MAX)),
  /** base64 of `user:password`. Its format is checked elsewhere, where no message can quote it. */
  registryAuth: v.optional(v.nullable(v.pipe(v.string(), v.maxLength(REGISTRY_FIELD_CHARS_MAX))), null),
};

export const inspectImageRequest = v.strictObject(registry);

export const pullImageRequest = v.strictObject({ ...registry, pullPolicy: v.optional(pullPolicy, "IfNotPresent") });

export const listImagesRequest = v.strictObject({});

export const pruneImagesRequest = v.strictObject({
  /** Only find out what would be removed. */
  dryRun: v.optional(v.boolean(), false),
});

const ONE_MATCH = 'either "exact" or "regexp", with text';
const text = v.pipe(v.string(), v.minLength(1), v.maxLength(IDENTITY_CHARS_MAX));
const match = v.union([v.strictObject({ exact: text }), v.strictObject({ regexp: text })], ONE_MATCH);
const upTo = <Entry extends v.GenericSchema>(entry: Entry) =>
  v.optional(v.pipe(v.array(entry), v.maxLength(TRUSTED_SIGNERS_MAX)), []);

export const verifyImageRequest = v.strictObject({
  ...registry,
  /** Accept an unsigned image. An explicit verification requires a signature by default. */
  allowUnsigned: v.optional(v.boolean(), false),
  /** If either list is non-empty, the configured signers are ignored. */
  trustedIdentities: upTo(v.strictObject({ identity: match, issuer: match })),
  trustedKeys: upTo(path),
  trustedRoot: v.optional(v.nullable(path), null),
});

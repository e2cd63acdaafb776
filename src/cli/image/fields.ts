/** Fields that describe where an image is and how it is pulled. */
import { PULL_POLICIES } from "../../domain/program.ts";
import { optional, required, type Values } from "../command.ts";

export const IMAGE_URL = required({
  long: "image-url",
  short: "i",
  doc: [
    "Name of the image, with a tag, a digest, or both.",
    "Example: --image-url quay.io/bpfman-bytecode/xdp_pass:latest",
  ],
  noun: {
    long: "image",
    short: undefined,
    doc: ["Name of the image, with a tag, a digest, or both.", "Example: quay.io/bpfman-bytecode/xdp_pass:latest"],
  },
});

export const REGISTRY_AUTH = optional({
  long: "registry-auth",
  short: "r",
  env: "BPFMAN_REGISTRY_AUTH",
  doc: [
    "Credentials for the registry: base64 of <USERNAME>:<PASSWORD>.",
    "This is how docker and podman store them in their auth files.",
    "Example: --registry-auth dXNlcjpwYXNzd29yZA==",
    "",
    "Other users of this machine can see a command's options while it runs.",
    "The environment variable and a docker or podman login stay hidden.",
  ],
});

/** The service validates the policy. */
export const PULL_POLICY = optional({
  long: "pull-policy",
  short: "p",
  choices: PULL_POLICIES,
  default: "IfNotPresent",
  doc: ["When to pull the image from its registry.", "", `[possible values: ${PULL_POLICIES.join(", ")}]`],
});

export const PULLED = { url: IMAGE_URL, registryAuth: REGISTRY_AUTH, pullPolicy: PULL_POLICY };

export const imageRequest = ({ url, registryAuth, pullPolicy }: Values<typeof PULLED>) => ({
  url,
  registryAuth,
  ...(pullPolicy === null ? {} : { pullPolicy }),
});

/** Where an image is, and how it is fetched. */
import { PULL_POLICIES } from "../../domain/program.ts";
import { optional, required, type Values } from "../command.ts";

export const IMAGE_URL = required({
  long: "image-url",
  short: "i",
  doc: ["Required: Container Image URL.", "Example: --image-url quay.io/bpfman-bytecode/xdp_pass:latest"],
  noun: {
    long: "image",
    short: undefined,
    doc: [
      "Required: Name of the image, with a tag, a digest, or both.",
      "Example: quay.io/bpfman-bytecode/xdp_pass:latest",
    ],
  },
});

export const REGISTRY_AUTH = optional({
  long: "registry-auth",
  short: "r",
  env: "BPFMAN_REGISTRY_AUTH",
  doc: [
    "Optional: Registry auth for authenticating with the specified image registry.",
    "This should be base64 encoded from the '<username>:<password>' string just like",
    "it's stored in the docker/podman host config.",
    'Example: --registry_auth "YnjrcKw63PhDcQodiU9hYxQ2"',
    "",
    "Other users of this machine can see the options of a command while it runs: the",
    "environment variable and a login with podman or docker show nothing.",
  ],
});

/** The service says what a policy may be. */
export const PULL_POLICY = optional({
  long: "pull-policy",
  short: "p",
  choices: PULL_POLICIES,
  default: "IfNotPresent",
  doc: ["Optional: Pull policy for remote images.", "", `[possible values: ${PULL_POLICIES.join(", ")}]`],
});

export const PULLED = { url: IMAGE_URL, registryAuth: REGISTRY_AUTH, pullPolicy: PULL_POLICY };

export const imageRequest = ({ url, registryAuth, pullPolicy }: Values<typeof PULLED>) => ({
  url,
  registryAuth,
  ...(pullPolicy === null ? {} : { pullPolicy }),
});

/** Options that say where an image is and how it is fetched. */
import { PULL_POLICIES } from "../../domain/program.ts";
import type { Argument, Flag, Line } from "../command.ts";

export const IMAGE: Argument = {
  name: "image",
  doc: [
    "Required: Name of the image, with a tag, a digest, or both.",
    "Example: quay.io/bpfman-bytecode/xdp_pass:latest",
  ],
};

const IMAGE_URL: Flag = {
  long: "image-url",
  short: "i",
  takes: "one",
  required: true,
  doc: ["Required: Container Image URL.", "Example: --image-url quay.io/bpfman-bytecode/xdp_pass:latest"],
};

export const REGISTRY_AUTH: Flag = {
  long: "registry-auth",
  short: "r",
  takes: "one",
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
};

export const PULL_POLICY: Flag = {
  long: "pull-policy",
  short: "p",
  takes: "one",
  choices: PULL_POLICIES,
  default: "IfNotPresent",
  doc: ["Optional: Pull policy for remote images.", "", `[possible values: ${PULL_POLICIES.join(", ")}]`],
};

export const PULL_FLAGS: readonly Flag[] = [IMAGE_URL, REGISTRY_AUTH, PULL_POLICY];

/** The part of a request that these options are. The service says what a policy may be. */
export function pullRequest(line: Line) {
  const pullPolicy = line.value(PULL_POLICY);
  return {
    url: line.value(IMAGE_URL),
    registryAuth: line.value(REGISTRY_AUTH),
    ...(pullPolicy === null ? {} : { pullPolicy }),
  };
}

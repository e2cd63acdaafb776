import { BpfmanError } from "../../errors/error.ts";
import type { Command, Flag, Line } from "../command.ts";
import { renderVerified } from "../render/image.ts";
import { IMAGE, REGISTRY_AUTH } from "./image-flags.ts";

const ALLOW_UNSIGNED: Flag = {
  long: "allow-unsigned",
  takes: "nothing",
  doc: [
    "Optional: Accept an image that has no signature, with a warning.",
    "An image with signatures of which none is trusted is refused all the same.",
  ],
};
const IDENTITY: Flag = {
  long: "certificate-identity",
  takes: "one",
  doc: [
    "Optional: Identity that the signer's certificate must name.",
    "An e-mail address, or the URI of a workflow. Needs an issuer. With an identity or",
    "a key, the signers of the configuration do not count.",
    "Example: --certificate-identity dev@example.com",
  ],
};
const IDENTITY_REGEXP: Flag = {
  long: "certificate-identity-regexp",
  takes: "one",
  doc: [
    "Optional: Regular expression for the identity, which must match all of it.",
    "In RE2's syntax, as cosign's.",
    'Example: --certificate-identity-regexp "https://github.com/acme/.*"',
  ],
};
const ISSUER: Flag = {
  long: "certificate-oidc-issuer",
  takes: "one",
  doc: [
    "Optional: Issuer that must have vouched for the identity.",
    "Example: --certificate-oidc-issuer https://token.actions.githubusercontent.com",
  ],
};
const ISSUER_REGEXP: Flag = {
  long: "certificate-oidc-issuer-regexp",
  takes: "one",
  doc: ["Optional: Regular expression for the issuer, which must match all of it."],
};
const KEY: Flag = {
  long: "key",
  takes: "list",
  completes: "file",
  doc: [
    "Optional: Public keys in PEM, one of which must have made the signature.",
    "Such a signature is checked without any network but the registry's.",
    "Example: --key cosign.pub",
  ],
};
const TRUSTED_ROOT: Flag = {
  long: "trusted-root",
  takes: "one",
  completes: "file",
  doc: [
    "Optional: Authorities and logs to check certificates against.",
    'A file as "cosign trusted-root create" writes it, instead of Sigstore\'s public one.',
  ],
};

export const verifyImage: Command = {
  args: [IMAGE],
  flags: [REGISTRY_AUTH, ALLOW_UNSIGNED, IDENTITY, IDENTITY_REGEXP, ISSUER, ISSUER_REGEXP, KEY, TRUSTED_ROOT],
  examples: [
    {
      does: "Check an image against the signers of the configuration",
      line: "bpfman image verify quay.io/bpfman-bytecode/xdp_pass:latest",
    },
    {
      does: "Check that a workflow of a project signed it",
      line: 'bpfman image verify ghcr.io/acme/xdp:v1 --certificate-identity-regexp "https://github.com/acme/.*" --certificate-oidc-issuer https://token.actions.githubusercontent.com',
    },
    { does: "Check that a key signed it", line: "bpfman image verify localhost:5000/counter:v1 --key cosign.pub" },
  ],
  prepare(line) {
    const identity = match(line, IDENTITY, IDENTITY_REGEXP);
    const issuer = match(line, ISSUER, ISSUER_REGEXP);
    if ((identity === null) !== (issuer === null)) {
      throw new BpfmanError("USAGE", "an identity and an issuer go together", {
        hint: `give both, as --${IDENTITY.long} and --${ISSUER.long}, or with their regular expressions`,
      });
    }
    const request = {
      url: line.word(IMAGE),
      registryAuth: line.value(REGISTRY_AUTH),
      allowUnsigned: line.has(ALLOW_UNSIGNED),
      trustedIdentities: identity === null ? [] : [{ identity, issuer }],
      trustedKeys: line.values(KEY),
      trustedRoot: line.value(TRUSTED_ROOT),
    };
    return async (session) => session.print(await session.invoke("image/verify", request), renderVerified);
  },
};

function match(line: Line, whole: Flag, pattern: Flag) {
  const [exact, regexp] = [line.value(whole), line.value(pattern)];
  if (exact !== null && regexp !== null) {
    throw new BpfmanError("USAGE", `--${whole.long} and --${pattern.long} cannot be given together`);
  }
  if (exact !== null) return { exact };
  return regexp === null ? null : { regexp };
}

import type { ImageVerifyAnswer, SignatureAnswer } from "../../domain/image-answer.ts";
import type { ImageSignature } from "../../domain/signing.ts";
import type { ImagesPort } from "../../platform/images.ts";
import { operation } from "../operation.ts";
import { verifyImageRequest } from "../requests/image-requests.ts";

const signatureAnswer = ({ signer, signedAt, ...rest }: ImageSignature): SignatureAnswer => ({
  ...rest,
  identity: signer?.kind === "identity" ? signer.identity : null,
  issuer: signer?.kind === "identity" ? signer.issuer : null,
  key: signer?.kind === "key" ? { file: signer.file, fingerprint: signer.fingerprint } : null,
  signed_at: signedAt?.toISOString() ?? null,
});

export const implementation = operation({
  request: verifyImageRequest,
  async run(images: ImagesPort, { url, ...request }, context): Promise<ImageVerifyAnswer> {
    const { reference, digest, unsigned, trustRoot, signatures } = await images.verify(
      { ...request, reference: url },
      context,
    );
    return {
      reference,
      digest,
      signed: !unsigned,
      trust_root: trustRoot,
      signatures: signatures.map(signatureAnswer),
    };
  },
});

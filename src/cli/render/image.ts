import type {
  BuildArgsAnswer,
  ImageBuildAnswer,
  ImageContentAnswer,
  ImageInspectAnswer,
  ImageListAnswer,
  ImagePruneAnswer,
  ImagePullAnswer,
  ImageVerifyAnswer,
  SignatureAnswer,
} from "../../domain/image-answer.ts";
import { printable } from "../../domain/printable.ts";
import { type Fact, type Look, renderFacts, renderTable } from "./table.ts";

type Labels = Pick<ImageContentAnswer, "programs" | "maps">;

/** Renders `xdp_pass (xdp)`, sorted. */
const named = (table: Labels["programs"]): string[] =>
  Object.entries(table ?? {})
    .map(([name, type]) => `${name} (${type})`)
    .sort();

const labelFacts = ({ programs, maps }: Labels): Fact[] => [
  ["Programs:", named(programs)],
  ["Maps:", named(maps)],
];

type Identity = Pick<ImagePullAnswer, "digest" | "media_type">;

const identityFacts = (name: Fact, { digest, media_type }: Identity): Fact[] => [
  name,
  ["Digest:", digest],
  ["Media Type:", media_type],
];

export const renderPulled = (answer: ImagePullAnswer, look: Look): string =>
  renderFacts(
    "Bytecode Image",
    [...identityFacts(["Image URL:", answer.reference], answer), ...labelFacts(answer)],
    look,
  );

/** `12.3 KiB` */
const kib = (bytes: number): string => `${(bytes / 1024).toFixed(1)} KiB`;

/** As docker shows it; JSON has the whole. */
const shortDigest = (digest: string): string => digest.slice(0, "sha256:".length + 12);

export function renderImageList({ images }: ImageListAnswer, look: Look): string {
  const rows = images.map(({ references, digest, size, used_at, programs }) => [
    references.join(", "),
    shortDigest(digest),
    kib(size),
    used_at.replace(/\.[0-9]+Z$/, "Z"),
    programs.join(", "),
  ]);
  return renderTable({ heading: ["Image", "Digest", "Size", "Last Used", "Programs"], rows }, look);
}

export function renderPruned({ dry_run: dryRun, images, files, size }: ImagePruneAnswer): string {
  const each = images.map(({ references, digest }) => `${printable(references.join(", "))} ${shortDigest(digest)}\n`);
  const what = `${images.length} image${images.length === 1 ? "" : "s"} (${files} file${files === 1 ? "" : "s"})`;
  return `${each.join("")}${dryRun ? "would remove" : "removed"} ${what}: ${kib(size)}\n`;
}

/** For an index, a table per platform follows. */
export function renderInspected(answer: ImageInspectAnswer, look: Look): string {
  const facts = identityFacts(["Image URL:", answer.reference], answer);
  if ("layers" in answer) return renderFacts("Bytecode Image", [...facts, ...contentFacts(answer)], look);
  const platforms = answer.manifests.map(({ platform }) => platform);
  const tables = answer.manifests.map((entry) => {
    const about = identityFacts(["Platform:", entry.platform], entry);
    return renderFacts("Bytecode Image", [...about, ...contentFacts(entry)], look);
  });
  return [renderFacts("Image Index", [...facts, ["Platforms:", platforms]], look), ...tables].join("\n");
}

const contentFacts = (content: ImageContentAnswer): Fact[] => [
  ...labelFacts(content),
  ["Layers:", content.layers.map(({ digest, size }) => `${digest} (${size} bytes)`)],
];

/** Renders what was verified, then a table per signature. */
export function renderVerified(answer: ImageVerifyAnswer, look: Look): string {
  const { reference, digest, signed, trust_root, signatures } = answer;
  const head = renderFacts(
    "Verified Image",
    [
      ["Image URL:", reference],
      ["Digest:", digest],
      ["Signed:", signed],
      ["Trusted Root:", trust_root],
    ],
    look,
  );
  return [head, ...signatures.map((signature) => renderSignature(signature, look))].join("\n");
}

function renderSignature(signature: SignatureAnswer, look: Look): string {
  const { verdict, reason, identity, issuer, key, signed_at, layout, manifest } = signature;
  const signer: Fact[] =
    key === null
      ? [
          ["Identity:", identity],
          ["Issuer:", issuer],
        ]
      : [
          ["Key:", key.file],
          ["Fingerprint:", key.fingerprint],
        ];
  const facts: Fact[] = [
    ["Verdict:", verdict],
    ...(reason === null ? [] : ([["Reason:", reason]] as Fact[])),
    ...signer,
    ["Signed At:", signed_at],
    ["Stored As:", `${layout} ${manifest}`],
  ];
  return renderFacts("Signature", facts, look);
}

/** Renders `NAME=VALUE` lines, as `--build-arg` takes them. */
export const renderBuildArgs = ({ build_args }: BuildArgsAnswer): string =>
  Object.entries(build_args)
    .map(([name, value]) => `${name}=${printable(value)}\n`)
    .join("");

export const renderImageBuild = ({ published }: ImageBuildAnswer): string => `published: ${printable(published)}\n`;

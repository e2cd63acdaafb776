import { kernelLinkId, linkId, programId } from "../domain/ids.ts";
import {
  DIRECTIONS,
  type KprobeDetails,
  type LinkDetails,
  type LinkKind,
  type LinkRecord,
  type TcDetails,
  type TcxDetails,
  type TracepointDetails,
  type TracingDetails,
  type UprobeDetails,
  type XdpDetails,
} from "../domain/link.ts";
import {
  type Check,
  type Fields,
  fields,
  id,
  json,
  listOf,
  nullable,
  oneOf,
  shape,
  text,
  time,
  whole,
} from "./decode.ts";
import { metadata } from "./program-row.ts";

const network = { interface: text, ifindex: whole(1), netns: nullable(text), nsid: whole(0), priority: whole(0) };
const direction = oneOf(DIRECTIONS);
// TC_ACT_UNSPEC is -1.
const proceedOn = listOf(whole(-1));
const pid = nullable(whole(1));

const kprobe = shape<KprobeDetails>({ kind: oneOf(["kprobe", "kretprobe"]), fnName: text, offset: whole(0) });
const uprobe = shape<UprobeDetails>({
  kind: oneOf(["uprobe", "uretprobe"]),
  path: text,
  target: text,
  fnName: nullable(text),
  offset: whole(0),
  fileOffset: whole(0),
  pid,
  containerPid: pid,
  // Rows of before it was kept have none.
  fileId: (value, place) => (value === undefined ? null : nullable(text)(value, place)),
});
const tracing = shape<TracingDetails>({ kind: oneOf(["fentry", "fexit", "lsm"]), fnName: text });

const DETAILS: { readonly [Kind in LinkKind]: Check<LinkDetails> } = {
  xdp: shape<XdpDetails>({ kind: oneOf(["xdp"]), ...network, position: whole(0), proceedOn }),
  tc: shape<TcDetails>({ kind: oneOf(["tc"]), ...network, direction, position: whole(0), proceedOn }),
  tcx: shape<TcxDetails>({ kind: oneOf(["tcx"]), ...network, direction }),
  tracepoint: shape<TracepointDetails>({ kind: oneOf(["tracepoint"]), group: text, name: text }),
  kprobe,
  kretprobe: kprobe,
  uprobe,
  uretprobe: uprobe,
  fentry: tracing,
  lsm: tracing,
  fexit: tracing,
};
const kind = oneOf(Object.keys(DETAILS) as LinkKind[]);
const details = json((value, place) => DETAILS[kind(fields(value, place).kind, `${place}.kind`)](value, place));
const optionalId = nullable(id);

/** Throws Undecodable. */
export function linkRecord(row: Fields): LinkRecord {
  const kernelId = optionalId(row.kernel_link_id, "kernel_link_id");
  return {
    id: linkId(id(row.link_id, "link_id")),
    programId: programId(id(row.program_id, "program_id")),
    kernelLinkId: kernelId === null ? null : kernelLinkId(kernelId),
    pinPath: text(row.pin_path, "pin_path"),
    details: details(row.details, "details"),
    metadata: metadata(row.metadata, "metadata"),
    createdAt: time(row.created_at_ms, "created_at_ms"),
  };
}

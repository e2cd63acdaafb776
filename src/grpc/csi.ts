/** csi.v1, as the kubelet speaks it: pods get the maps of programs as volumes. There is no controller, and no staging. */
import { BpfmanError } from "../errors/error.ts";
import type { Run } from "./bpfman-v1.ts";
import { invalid, STATUS, StatusError, statusOf } from "./errors.ts";
import {
  Identity,
  Node,
  NodeServiceCapability_RPC_Type as CapabilityType,
  type NodePublishVolumeRequest,
  type VolumeCapability,
} from "./generated/csi.ts";
import { type UnaryMethod, unary } from "./server.ts";

const NAME = "csi.bpfman.io";
/** The attributes of a volume: what its programs have as metadata `bpfman.io/ProgramName`, and maps, with commas between. */
const PROGRAM = `${NAME}/program`;
const MAPS = `${NAME}/maps`;

/** `node` is what Kubernetes calls this machine. */
export function csiMethods(run: Run, node: string): readonly UnaryMethod[] {
  return [
    unary(Identity.method.getPluginInfo, async (_, call) => {
      const { version } = await run("version", {}, call);
      return { name: NAME, vendorVersion: version };
    }),
    unary(Identity.method.getPluginCapabilities, async () => ({})),
    unary(Identity.method.probe, async () => ({})),
    unary(Node.method.nodeGetInfo, async () => ({ nodeId: node })),
    unary(Node.method.nodeGetCapabilities, async () => ({
      capabilities: [{ type: { case: "rpc", value: { type: CapabilityType.VOLUME_MOUNT_GROUP } } } as const],
    })),
    unary(Node.method.nodePublishVolume, async (request, call) => {
      try {
        await run("volume/publish", publishRequest(request), call);
      } catch (thrown) {
        const isThere = thrown instanceof BpfmanError && thrown.code === "VOLUME_EXISTS";
        throw isThere ? new StatusError(STATUS.ALREADY_EXISTS, statusOf(thrown).message) : thrown;
      }
      return {};
    }),
    unary(Node.method.nodeUnpublishVolume, async ({ volumeId, targetPath }, call) => {
      await run("volume/unpublish", { volumeId, targetPath }, call);
      return {};
    }),
  ];
}

function publishRequest({
  volumeId,
  targetPath,
  volumeCapability,
  readonly: readOnly,
  volumeContext,
}: NodePublishVolumeRequest): unknown {
  const group = groupOf(volumeCapability);
  const { [PROGRAM]: program, [MAPS]: maps } = volumeContext;
  if (program === undefined || program === "") throw invalid("volume_context", `the attribute ${PROGRAM} is missing`);
  const names = (maps ?? "").split(",").flatMap((name) => name.trim() || []);
  if (names.length === 0)
    throw invalid("volume_context", `the attribute ${MAPS} is missing: it names maps, as in "a,b"`);
  return { volumeId, targetPath, program, maps: names, readOnly, group };
}

function groupOf(capability: VolumeCapability | undefined): number | null {
  const access = capability?.accessType;
  if (access?.case === undefined) throw invalid("volume_capability", "it is missing");
  if (access.case === "block") throw invalid("volume_capability", "a volume has files: it is no block device");
  const { volumeMountGroup: group } = access.value;
  if (group === "") return null;
  if (/^\d{1,10}$/.test(group)) return Number(group);
  throw invalid("volume_mount_group", `"${group}" is not the number of a group`);
}

import type { Versions } from "../../platform/runtime.ts";
import { operation } from "../operation.ts";
import { versionRequest } from "../requests.ts";

export const implementation = operation({ request: versionRequest, run: (needs: Versions) => needs.versions() });

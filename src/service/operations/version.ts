import { strictObject } from "valibot";
import type { Versions } from "../../platform/runtime.ts";
import { operation } from "../operation.ts";

export const implementation = operation({ request: strictObject({}), run: (needs: Versions) => needs.versions() });

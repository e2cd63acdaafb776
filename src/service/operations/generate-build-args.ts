import type { BuildArgsAnswer } from "../../domain/image-answer.ts";
import type { ImageBuildHost } from "../../platform/image-build.ts";
import { buildArgsOf, planOf, platformsOf, warnOfDifferences } from "../image/build-plan.ts";
import { operation } from "../operation.ts";
import { generateBuildArgsRequest } from "../requests/build-requests.ts";

export const implementation = operation<typeof generateBuildArgsRequest, BuildArgsAnswer, ImageBuildHost>({
  request: generateBuildArgsRequest,
  run: ({ files }, { bytecode }, context) => {
    const plan = planOf(bytecode, files);
    warnOfDifferences(plan, context.log);
    return { platforms: platformsOf(plan), build_args: buildArgsOf(plan), ...plan[0].labels };
  },
});

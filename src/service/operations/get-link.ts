import { linkAnswer } from "../../inspect/link.ts";
import { operation } from "../operation.ts";
import { requireLink } from "../programs.ts";
import { getLinkRequest } from "../requests/links.ts";

export const implementation = operation({
  request: getLinkRequest,
  run: (host, request) => linkAnswer(host, requireLink(host, request.linkId)),
});

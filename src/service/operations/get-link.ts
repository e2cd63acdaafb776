import { linkAnswer } from "../../inspect/link-answer.ts";
import { operation } from "../operation.ts";
import { linkIdOf, requireLink } from "../require-record.ts";
import { getLinkRequest } from "../requests/link-requests.ts";

export const implementation = operation({
  get request() {
    return getLinkRequest();
  },
  run: (host, request, context) => linkAnswer(host, requireLink(host, linkIdOf(host, request.linkId, context))),
});

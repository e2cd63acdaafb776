/**
 * A separate process that works on a database: `bun store-process.ts PATH count N` writes N programs and links, one
 * transaction each; `… hold` writes within a transaction, reports that, and waits until it is killed.
 */
import { kernelLinkId } from "../../src/domain/ids.ts";
import { openStore } from "../../src/store/open-store.ts";
import { linkDraftOf, programRecordOf } from "../fakes/records.ts";

const [path = "", work = "", count = "0"] = process.argv.slice(2);
const store = openStore({ path, mode: "write", bootId: "boot-1" });
if (work === "hold") {
  store.transaction(() => {
    store.insertProgram(programRecordOf(1000), "ready");
    process.stdout.write("holding\n");
    Bun.sleepSync(60_000);
  });
}
for (let index = 0; index < Number(count); index++) {
  store.transaction(() => {
    const id = process.pid * 100 + index;
    store.insertProgram(programRecordOf(id), "ready");
    store.settleLink(store.insertLink(linkDraftOf(id), (link) => `/links/${link}`).id, kernelLinkId(id));
  });
}
store.close();

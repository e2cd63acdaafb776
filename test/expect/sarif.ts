import sarifSchema from "@microsoft/jest-sarif/lib/schemas/sarif-2.1.0-rtm.5.json";
import Ajv from "ajv";
import draft4 from "ajv/lib/refs/json-schema-draft-04.json";

/** What the schema of SARIF 2.1.0 objects to; null if nothing. */
export function sarifErrors(log: unknown): unknown {
  const ajv = new Ajv({ schemaId: "id", meta: false, missingRefs: "fail" });
  ajv.addMetaSchema(draft4);
  const validate = ajv.compile(sarifSchema);
  validate(log);
  return validate.errors ?? null;
}

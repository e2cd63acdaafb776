import { strictObject } from "valibot";
import type { DoctorAnswer } from "../../domain/answer.ts";
import type { Host } from "../../platform/host.ts";
import { doctorAnswer } from "../doctor/examine.ts";
import { type Context, operation } from "../operation.ts";

/** Compares everything that is recorded with what is there. Changes nothing. */
export const implementation = operation({
  request: strictObject({}),
  examines: true,
  run: (host: Host, _request: object, context: Context): Promise<DoctorAnswer> => doctorAnswer(host, context),
});

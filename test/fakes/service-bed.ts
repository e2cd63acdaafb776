import { afterEach, beforeEach } from "bun:test";
import { createInvoke, type Invoke } from "../../src/service/invoke.ts";
import { serviceObject } from "../objects/service-object.ts";
import { makeTestBed, type TestBed } from "./fake-host.ts";

/** Before each test, hands over a bed that has the object of service tests at /x.o; closes it afterwards. */
export function beforeEachServiceBed(take: (bed: TestBed, invoke: Invoke) => void): void {
  let made: TestBed | null = null;
  beforeEach(() => {
    made = makeTestBed();
    made.files.contents.set("/x.o", serviceObject());
    take(made, createInvoke(made.runtime));
  });
  afterEach(() => made?.close());
}

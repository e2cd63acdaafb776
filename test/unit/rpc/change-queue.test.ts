import { expect, test } from "bun:test";
import { ChangeQueue } from "../../../rpc/change-queue.ts";

const never = new AbortController().signal;
const code = (thrown: unknown) => (thrown as { code?: string }).code;

test("one at a time, in the order in which they came", async () => {
  const queue = new ChangeQueue();
  const order: string[] = [];
  const task = (name: string, ms: number) => () =>
    (async () => {
      order.push(`${name} begins`);
      await Bun.sleep(ms);
      order.push(`${name} ends`);
      return name;
    })();
  const results = await Promise.all([
    queue.run(task("a", 10), never),
    queue.run(task("b", 0), never),
    queue.run(task("c", 1), never),
  ]);
  expect(results).toEqual(["a", "b", "c"]);
  expect(order).toEqual(["a begins", "a ends", "b begins", "b ends", "c begins", "c ends"]);
});

test("a failure does not stop those behind it", async () => {
  const queue = new ChangeQueue();
  const failed = queue.run(() => Promise.reject(new Error("no")), never);
  const next = queue.run(async () => 2, never);
  expect(failed).rejects.toThrow("no");
  expect(await next).toBe(2);
});

test("what is cancelled before its turn never runs, and is answered at once", async () => {
  const queue = new ChangeQueue();
  const first = Promise.withResolvers<void>();
  const cancel = new AbortController();
  let ran = false;
  const before = queue.run(() => first.promise, never);
  const cancelled = queue.run(async () => {
    ran = true;
  }, cancel.signal);
  const after = queue.run(async () => "after", never);
  cancel.abort();
  expect(await cancelled.catch(code)).toBe("CANCELLED");
  first.resolve();
  await before;
  expect(await after).toBe("after");
  expect(ran).toBe(false);
});

test("what runs is told by its signal alone", async () => {
  const queue = new ChangeQueue();
  const cancel = new AbortController();
  const running = Promise.withResolvers<string>();
  const result = queue.run(() => running.promise, cancel.signal);
  await Bun.sleep(1);
  cancel.abort();
  running.resolve("done all the same");
  expect(await result).toBe("done all the same");
});

test("one that is already cancelled is rejected", async () => {
  const result = new ChangeQueue().run(async () => 1, AbortSignal.abort());
  expect(await result.catch(code)).toBe("CANCELLED");
});

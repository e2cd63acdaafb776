/**
 * Whether the tests run in a virtual machine of `npm test`, which has to be quick: proofs by repetition repeat less there.
 * `npm run test:vm -- --all` and `-- 6.12` take their time (scripts/vm.ts), as this machine does.
 */
export const BRIEF: boolean =
  process.env.BPFMAN_TEST_KERNEL !== undefined && process.env.BPFMAN_TEST_LONG === undefined;

/** The sources of live completion values. */
export const LIVE_VALUES = [
  "application",
  "attach-kind",
  "dispatcher-ifindex",
  "dispatcher-nsid",
  "interface",
  "kernel-function",
  "link-id",
  "map",
  "metadata",
  "netns",
  "object-global",
  "object-map",
  "object-program",
  "pid",
  "program-id",
  "target-function",
  "tracepoint",
  "raw-tracepoint",
  "perf-event",
] as const;
export type LiveValue = (typeof LIVE_VALUES)[number];

/** The sources of live completion values. */
export const LIVE_VALUES = [
  "application",
  "attach-kind",
  "cgroup",
  "dispatcher-ifindex",
  "dispatcher-nsid",
  "interface",
  "kernel-function",
  "link-id",
  "map",
  "event-source",
  "metadata",
  "netns",
  "object-global",
  "object-map",
  "object-program",
  "pid",
  "program-id",
  "target-function",
  "tracepoint",
] as const;
export type LiveValue = (typeof LIVE_VALUES)[number];

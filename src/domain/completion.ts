/** Where live values for a word of a command line come from. */
export const LIVE_VALUES = [
  "dispatcher-ifindex",
  "dispatcher-nsid",
  "interface",
  "kernel-function",
  "link-id",
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

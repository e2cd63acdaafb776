/** Where live values for a word of a command line come from. */
export const LIVE_VALUES = [
  "interface",
  "kernel-function",
  "link-id",
  "netns",
  "object-global",
  "object-program",
  "pid",
  "program-id",
  "tracepoint",
] as const;
export type LiveValue = (typeof LIVE_VALUES)[number];

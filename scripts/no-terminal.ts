/** Stands for `ansis` and `terminal-columns` in the bundle (scripts/bundle.ts). cleye never calls it: its help is off. */
const none = (): never => {
  throw new Error("cleye writes no help here");
};

export const [bold, terminalColumns, breakpoints] = [none, none, none];
// biome-ignore lint/style/noDefaultExport: ansis has one
export default { level: 0 };

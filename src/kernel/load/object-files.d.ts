/** A compiled BPF object embedded in the executable. Importing it gives a path to read it from. */
declare module "*.bpf.o" {
  const path: string;
  // biome-ignore lint/style/noDefaultExport: the shape of the bundler's file imports
  export default path;
}

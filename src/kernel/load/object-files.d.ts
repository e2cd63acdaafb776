/** A compiled BPF object that goes into the executable; importing it gives a path to read it from. */
declare module "*.bpf.o" {
  const path: string;
  // biome-ignore lint/style/noDefaultExport: the shape of the bundler's file imports
  export default path;
}
